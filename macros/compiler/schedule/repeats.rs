//! A reduction that is written twice is computed once.
//!
//! ```text
//! v1 = max of x                      v1 = max of x
//! v2 = ln(sum of exp(x - v1))        v2 = ln(sum of exp(x - v1))
//! v3 = max of x                      out = v2 + v1
//! out = v2 + v3
//! ```
//!
//! What is done for each element is left as it is written: it takes registers or memory to keep it.

use super::forward::replace;
use crate::ir::{Kernel, Op, Stmt, ValueId};
use std::collections::{HashMap, HashSet};

/// Rewrites the kernel in place.
pub(super) fn repeats(kernel: &mut Kernel) {
    let mut first = HashMap::new();
    find(kernel, &kernel.body, &mut Vec::new(), &mut first);
    for (value, first) in &first {
        // Two remarks on one value: neither is right for both.
        if kernel.remarks.values.remove(value).is_some() {
            kernel.remarks.values.remove(first);
        }
    }
    if !first.is_empty() {
        replace(kernel, &first, &HashSet::new());
    }
}

/// Finds the reductions of a block that repeat one of it, or one around it up to the next branch; `known`: those so far.
fn find(kernel: &Kernel, block: &[Stmt], known: &mut Vec<ValueId>, first: &mut HashMap<ValueId, ValueId>) {
    let n_around = known.len();
    for stmt in block {
        if let Stmt::Let(value) = stmt
            && let Op::Reduce(..) = kernel.values[*value].op
        {
            let mut same = HashSet::new();
            match known.iter().find(|known| computes_same(kernel, **known, *value, &mut same)) {
                Some(known) => _ = first.insert(*value, *known),
                None => known.push(*value),
            }
        } else if let Stmt::For { body, .. } = stmt {
            find(kernel, body, known, first);
        } else if let Stmt::If { then, otherwise, .. } = stmt {
            // What a branch may not need would have to be kept for it.
            find(kernel, then, &mut Vec::new(), first);
            find(kernel, otherwise, &mut Vec::new(), first);
        }
    }
    known.truncate(n_around);
}

/// Whether two values are the same: one, or the same computed of such. A variable or a tensor may be written in between,
/// so what is read of them is only itself; so are products, functions and folds. `same`: pairs that are known to be, as a
/// chain may use each many times.
fn computes_same(
    kernel: &Kernel,
    lhs: ValueId,
    rhs: ValueId,
    same: &mut HashSet<(ValueId, ValueId)>,
) -> bool {
    if lhs == rhs || same.contains(&(lhs, rhs)) {
        return true;
    }
    let is_only_itself = matches!(
        kernel.values[lhs].op,
        Op::Read(_) | Op::Load { .. } | Op::Call(..) | Op::Fold(_) | Op::Dot(..)
    );
    let is_same = !is_only_itself && kernel.same_step(lhs, rhs, |l, r| computes_same(kernel, l, r, same));
    if is_same {
        same.insert((lhs, rhs));
    }
    is_same
}

#[cfg(test)]
mod tests {
    use super::super::simplify;
    use crate::ir::{Op, Stmt};
    use crate::parse::tests::kernel;
    use crate::verify::verify;
    use crate::walk::each_statement;

    /// How many reductions are left of a kernel whose body, per row, is this.
    fn reductions(row: &str) -> usize {
        let mut kernel = kernel(&format!(
            "fn k<M, N>(x: &Tensor<f32, (M, N)>, y: &Tensor<f16, (M, N)>, z: &mut Tensor<f32, (M, N)>,
                        t: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {{
                for m in tile(M) {{
                    let (x, y) = (x[(m, ..)], y[(m, ..)]);
                    {row}
                }}
            }}"
        ));
        simplify(&mut kernel);
        assert!(verify(&kernel).is_empty(), "{row}: {:?}", verify(&kernel));
        let mut count = 0;
        each_statement(&kernel.body, &mut |stmt, _| {
            count += usize::from(
                matches!(stmt, Stmt::Let(value) if matches!(kernel.values[*value].op, Op::Reduce(..))),
            );
        });
        count
    }

    #[test]
    fn a_reduction_that_is_written_twice_is_computed_once() {
        let once = [
            "out[m] = x.max(N) + x.max(N);",
            "out[m] = (x * 2.0).sum(N) - (x * 2.0).sum(N);",
            "out[m] = y.cast::<f32>().max(N) * y.cast::<f32>().max(N);",
            "out[m] = x.mean(N) + x.sum(N);",
            "out[m] = x.mean(N) - x.mean(N);",
            "let a = x.max(N); let mut b = a; b = x.max(N); out[m] = b;",
            "if N > 3 { out[m] = x.max(N) + x.max(N); } else { out[m] = 0.0; }",
            "out[m] = 0.0; out[m] = x.max(N); out[m] = x.max(N) + 1.0;",
            "let a = x.max(N); let mut b = a; for n in tile(N) { b = b + x.max(N); } out[m] = b;",
        ];
        for row in once {
            assert_eq!(reductions(row), 1, "{row}");
        }
        assert_eq!(reductions("out[m] = ln(exp(x - x.max(N)).sum(N)) + x.max(N);"), 2);
        assert_eq!(reductions("out[m] = exp(x - x.max(N)).sum(N) + exp(x - x.max(N)).sum(N);"), 2);
    }

    #[test]
    fn a_reduction_is_another_one_where_anything_differs() {
        let twice = [
            "out[m] = x.max(N) + x.min(N);",
            "out[m] = (x * 2.0).sum(N) - (x * 3.0).sum(N);",
            "out[m] = (x - 1.0).max(N) + (1.0 - x).max(N);",
            "out[m] = (1.0 / (x * 0.0)).max(N) + (1.0 / (x * -0.0)).max(N);",
            "let mut a = x; let b = a.max(N); a = a * 2.0; out[m] = b + a.max(N);",
            "let b = z[(m, ..)].max(N); z[(m, ..)] = x; out[m] = b + z[(m, ..)].max(N);",
            "out[m] = t[(m, ..)].max(N) + t[(m, ..)].max(N);",
            // Not computed where the other one is, or only there.
            "if N > 3 { out[m] = x.max(N); } else { out[m] = x.max(N) + 1.0; }",
            "let a = x.max(N); if N > 3 { out[m] = x.max(N); } else { out[m] = a; }",
            "let mut a = 0.0; if N > 3 { a = 1.0; out[m] = x.max(N); } out[m] = x.max(N) + a;",
        ];
        for row in twice {
            assert_eq!(reductions(row), 2, "{row}");
        }
    }

    /// Two chains, each of whose values uses the one before twice, are compared value by value, not path by path.
    #[test]
    fn long_chains_are_compared_quickly() {
        let chain = |name: &str| {
            let step = |at: usize| format!("let {name}{at} = {name}{0} * {name}{0};", at - 1);
            let steps: String = (1..60).map(step).collect();
            format!("let {name}0 = x + 1.0; {steps} let {name} = {name}59.sum(N);")
        };
        assert_eq!(reductions(&format!("{} {} out[m] = a + b;", chain("a"), chain("b"))), 1);
    }
}
