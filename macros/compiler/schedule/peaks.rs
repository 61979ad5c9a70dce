//! What a value is at most: the exponentials of a softmax are of `x - max(x)`, which needs no bound above.

use super::operands;
use crate::ir::{AxisId, BinaryOp, Kernel, Op, ReduceOp, Stmt, UnaryOp, ValueId};
use crate::walk::each_statement;

/// Whether `value <= bound` wherever both are, unless `bound` is NaN. Floats only.
#[must_use]
pub fn is_at_most(kernel: &Kernel, value: ValueId, bound: ValueId) -> bool {
    let (source, bound) = (unspread(kernel, value), unspread(kernel, bound));
    if source == bound {
        return true;
    }
    let op = |value: ValueId| &kernel.values[value].op;
    let elem = |value: ValueId| kernel.values[value].ty.elem;
    // A maximum is NaN if anything is, and -inf of nothing: so it must be over elements that the value has.
    if let Op::Reduce(ReduceOp::Max, of, axis) = op(bound) {
        return kernel.values[value].ty.axes.contains(*axis) && is_at_most(kernel, value, *of);
    }
    if let Op::Binary(BinaryOp::Max, one, other) = op(bound) {
        return is_at_most(kernel, value, *one) || is_at_most(kernel, value, *other);
    }
    // Rounding keeps the order.
    if let (Op::Cast(value_of), Op::Cast(bound_of)) = (op(source), op(bound)) {
        let is_float = |value: ValueId| elem(value).is_float(&kernel.elements);
        let is_rounding = is_float(*value_of) && is_float(source);
        let is_same = elem(*value_of) == elem(*bound_of) && elem(source) == elem(bound);
        return is_rounding && is_same && is_at_most(kernel, *value_of, *bound_of);
    }
    false
}

/// The value and the bound of which an exponential is the exponential of the difference.
#[must_use]
pub fn exponent(kernel: &Kernel, exponential: ValueId) -> Option<(ValueId, ValueId)> {
    if let Op::Binary(BinaryOp::ExpSub, value, bound) = kernel.values[exponential].op {
        return Some((value, bound));
    }
    let Op::Unary(UnaryOp::Exp, difference) = kernel.values[exponential].op else { return None };
    let Op::Binary(BinaryOp::Sub, value, bound) = kernel.values[difference].op else { return None };
    Some((value, bound))
}

/// Whether an exponential is a term of a sum and nothing else, and one of the terms is exp(0).
#[must_use]
pub fn is_term(kernel: &Kernel, exponential: ValueId) -> bool {
    let Some((value, bound)) = exponent(kernel, exponential) else { return false };
    let Some(along) = peak_along(kernel, value, bound) else { return false };
    let users = kernel.values.iter().filter(|(user, _)| operands(kernel, *user).contains(&exponential));
    let is_sum = |op: &Op| matches!(op, Op::Reduce(ReduceOp::Sum, _, axis) if *axis == along);
    let mut is_kept = false;
    each_statement(&kernel.body, &mut |stmt, _| {
        let kept =
            if let Stmt::Assign(_, value) | Stmt::Store { value, .. } = stmt { Some(*value) } else { None };
        is_kept |= kept == Some(exponential);
    });
    !is_kept && is_at_most(kernel, value, bound) && users.map(|(_, user)| &user.op).all(is_sum)
}

/// The axis along which a bound is the maximum of a value, if that [`is_at_most`] the bound.
fn peak_along(kernel: &Kernel, value: ValueId, bound: ValueId) -> Option<AxisId> {
    let (source, bound) = (unspread(kernel, value), unspread(kernel, bound));
    if let Op::Reduce(ReduceOp::Max, of, axis) = kernel.values[bound].op {
        let is_along = kernel.values[source].ty.axes.contains(axis);
        return (is_along && is_same(kernel, source, of)).then_some(axis);
    }
    // Rounding keeps the order.
    let (Op::Cast(source), Op::Cast(bound)) = (&kernel.values[source].op, &kernel.values[bound].op) else {
        return None;
    };
    peak_along(kernel, *source, *bound)
}

/// Whether two values are one, or cast from one to the same type.
fn is_same(kernel: &Kernel, one: ValueId, other: ValueId) -> bool {
    let (one, other) = (unspread(kernel, one), unspread(kernel, other));
    let (Op::Cast(one_of), Op::Cast(other_of)) = (&kernel.values[one].op, &kernel.values[other].op) else {
        return one == other;
    };
    let elem = |value: ValueId| kernel.values[value].ty.elem;
    elem(one) == elem(other) && is_same(kernel, *one_of, *other_of)
}

/// The value that has been given more axes.
#[must_use]
pub fn unspread(kernel: &Kernel, mut value: ValueId) -> ValueId {
    while let Op::Broadcast(of) = kernel.values[value].op {
        value = of;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{exponent, is_at_most, is_term};
    use crate::ir::{BinaryOp, Kernel, Op};
    use crate::parse::tests::kernel as parsed;

    /// A kernel over `x`, `y`, a column `u` and `z` of three dimensions that stores an expression.
    fn kernel(exponential: &str) -> Kernel {
        parsed(&format!(
            "fn k<T: Float, M, N, K>(x: &Tensor<f32, (M, N)>, y: &Tensor<T, (M, N)>, u: &Tensor<f32, M>,
                                  z: &Tensor<f32, (M, N, K)>, out: &mut Tensor<f32, (M, N)>) {{
                for m in tile(M) {{
                    let (x, y, u, z) = (x[(m, ..)], y[(m, ..)], u[m], z[(m, .., ..)]);
                    let mut peak = x.max(N);
                    out[(m, ..)] = {exponential};
                }}
            }}"
        ))
    }

    /// Whether the exponential in a kernel is of what is not above 0.
    fn is_down(exponential: &str) -> bool {
        let kernel = kernel(exponential);
        let mut found = kernel.values.iter().filter_map(|(_, of)| {
            let Op::Binary(BinaryOp::Sub | BinaryOp::ExpSub, value, peak) = of.op else { return None };
            Some(is_at_most(&kernel, value, peak))
        });
        found.next().expect("something is subtracted")
    }

    #[test]
    fn a_value_is_at_most_the_maximum_of_it_and_of_others() {
        let down = [
            "exp(x - x.max(N))",
            "exp_sub(x, x.max(N))",
            "exp_sub(x, max(1.0, x.max(N)))",
            "exp_sub(x, max(x, x * 2.0))",
            "exp(y.cast::<f32>() - y.max(N).cast::<f32>())",
            "exp(y.cast::<f32>() - y.cast::<f32>().max(N))",
        ];
        for exponential in down {
            assert!(is_down(exponential), "{exponential}");
        }
    }

    #[test]
    fn it_may_be_above_anything_else() {
        let other = [
            "exp(x - x.min(N))",
            "exp(x - x.sum(N))",
            "exp(x.max(N) - x)",
            "exp(x - y.cast::<f32>().max(N))",
            "exp(x * 2.0 - x.max(N))",
            "exp_sub(x, min(x, x * 2.0))",
            "exp_sub(x, y.max(N).cast::<f32>())",
            // No element makes the maximum -inf.
            "x * 0.0 + exp_sub(u, max(u, x).max(N))",
            "exp(x - peak)",
        ];
        for exponential in other {
            assert!(!is_down(exponential), "{exponential}");
        }
    }

    /// Whether the first exponential in a kernel is nothing but a term of a sum that has 1 in it.
    fn is_only_term(expression: &str) -> bool {
        let kernel = kernel(expression);
        let exponential = kernel.values.iter().map(|(id, _)| id).find(|id| exponent(&kernel, *id).is_some());
        is_term(&kernel, exponential.expect("there is an exponential"))
    }

    #[test]
    fn an_exponential_below_the_maximum_of_what_is_summed_is_a_term() {
        let terms = [
            "x + exp(x - x.max(N)).sum(N)",
            "x + exp_sub(x, x.max(N)).sum(N)",
            "x + exp(y.cast::<f32>() - y.max(N).cast::<f32>()).sum(N)",
            "x + exp(y.cast::<f32>() - y.cast::<f32>().max(N)).sum(N)",
        ];
        for expression in terms {
            assert!(is_only_term(expression), "{expression}");
        }
    }

    #[test]
    fn it_is_more_where_it_is_used_otherwise_or_none_is_1() {
        let other = [
            "exp(x - x.max(N))",
            "exp(x - x.max(N)) * 2.0",
            "x + exp(x - x.max(N)).max(N)",
            "x + exp(x - x.min(N)).sum(N)",
            "x + exp(x * 2.0 - x.max(N)).sum(N)",
            "x + exp_sub(x, max(x, x * 2.0)).sum(N)",
            "x + exp_sub(x, max(1.0, x.max(N))).sum(N)",
            "x + exp_sub(min(x, y.cast::<f32>()), x.max(N)).sum(N)",
            "x + (exp(x - x.max(N)) * x).sum(N)",
            "x + exp(x.cast::<f16>().cast::<f32>() - x.max(N).cast::<bf16>().cast::<f32>()).sum(N)",
            "x + exp(z - z.max(K)).sum(N).sum(K)",
        ];
        for expression in other {
            assert!(!is_only_term(expression), "{expression}");
        }
    }
}
