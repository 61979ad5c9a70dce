//! What a value is at most: the exponentials of a softmax are of `x - max(x)`, which needs no bound above.

use crate::ir::{BinaryOp, Kernel, Op, ReduceOp, ValueId};

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

/// The value that has been given more axes.
pub(super) fn unspread(kernel: &Kernel, mut value: ValueId) -> ValueId {
    while let Op::Broadcast(of) = kernel.values[value].op {
        value = of;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::is_at_most;
    use crate::diagnostics::Diagnostics;
    use crate::ir::{BinaryOp, Op};
    use crate::parse::{Helpers, parse_kernel};

    /// Whether the exponential in a kernel over `x`, `y` and a column `u` is of what is not above 0.
    fn is_down(exponential: &str) -> bool {
        let source = format!(
            "fn k<T: Float, M, N>(x: &Tensor<f32, (M, N)>, y: &Tensor<T, (M, N)>, u: &Tensor<f32, M>,
                                  out: &mut Tensor<f32, (M, N)>) {{
                for m in tile(M) {{
                    let (x, y, u) = (x[(m, ..)], y[(m, ..)], u[m]);
                    let mut peak = x.max(N);
                    out[(m, ..)] = {exponential};
                }}
            }}"
        );
        let item: syn::ItemFn = syn::parse_str(&source).expect("the kernel is Rust");
        let mut errors = Diagnostics::default();
        let (kernel, _) = parse_kernel(&item, &Helpers::default(), &mut errors);
        let kernel = kernel.unwrap_or_else(|| panic!("{exponential}: {:?}", errors.take()));
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
}
