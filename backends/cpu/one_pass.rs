//! The maximum of a row and the sum of exponentials below it, in one lane loop.
//!
//! `exp(x - max(x))` takes two passes. Summed, and not used otherwise, the exponentials may be off by a factor that is
//! known in the end: one pass does, of `x` in a window from the row's first on (`runtime/simd/math/window.rs`). Rows
//! that do not fit it, or that may be of equal numbers, take two, with the maximum of the first.
//!
//! ```text
//! for each m                          for each m
//!   lanes N: v1 = max of x              window = from x[m, 0] on
//!   lanes N: v4 = sum of exp(x - v1)    lanes N: v1 = max of x, v4 = sum of exp(x) in the window
//!                                       if that does not do: the loop of v4; of v1 if there is NaN
//! ```

use super::rows::{Rows, tensors};
use super::steps::defined;
use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{AxisId, Elem, Op, ParamId, ReduceOp, ValueId};
use tilewright_compiler::schedule::{Node, Reduction, Refusal, each_node, exponent, is_term, unspread};

/// The two loops of a row that one pass may do for.
pub struct OnePass<'n> {
    /// Which nodes of the row they are.
    pub max: usize,
    pub sum: usize,
    axis: AxisId,
    reductions: [&'n Reduction; 2],
    /// What the first one computes.
    body: &'n [Node],
    /// What is summed, and the value that it is the exponential of.
    exponential: Exponential,
    /// The tensors of which they read a row, and which dimension the rows are.
    pub reads: Vec<(ParamId, usize)>,
}

/// An exponential in the window, which is only summed. In the pass its name stands for the sum so far and it, as one
/// operation may find both.
#[derive(Clone, Copy)]
pub struct Exponential {
    pub value: ValueId,
    pub of: ValueId,
    /// The reduction.
    pub sum: ValueId,
}

/// A lane loop with one reduction.
struct Reduces<'n> {
    axis: AxisId,
    reduction: &'n Reduction,
    of: ValueId,
    body: &'n [Node],
}

impl Emitter<'_> {
    /// The loops of a row that one pass may do for.
    pub fn one_pass<'n>(&self, rows: Rows<'n>) -> Option<OnePass<'n>> {
        let reducing = |op| -> Vec<(usize, Reduces<'n>)> {
            let nodes = rows.body.iter().enumerate();
            nodes.filter_map(|(at, node)| Some((at, self.reduces(node, op)?))).collect()
        };
        let (peaks, sums) = (reducing(ReduceOp::Max), reducing(ReduceOp::Sum));
        let pairs = peaks.iter().flat_map(|peak| sums.iter().map(move |sum| (peak, sum)));
        let found = pairs.filter(|((max, _), (sum, _))| max < sum).find(|((max, peak), (sum, total))| {
            let (between, used) = (defined(&rows.body[max + 1..*sum]), self.used(total.body));
            peak.axis == total.axis
                && self.is_sum_below(peak, total)
                && !between.iter().any(|value| used.contains(value))
        });
        let ((max, peak), (sum, total)) = found?;
        Some(OnePass {
            max: *max,
            sum: *sum,
            axis: peak.axis,
            reductions: [peak.reduction, total.reduction],
            body: peak.body,
            exponential: Exponential { value: total.of, of: peak.of, sum: total.reduction.value },
            reads: self.rows_read(rows.axis, &rows.body[*max..=*max]),
        })
    }

    /// Whether one loop sums exponentials below the maximum that the other one finds, and nothing else uses those.
    fn is_sum_below(&self, peak: &Reduces<'_>, total: &Reduces<'_>) -> bool {
        let is_same = |one, other| unspread(self.kernel, one) == unspread(self.kernel, other);
        let terms = exponent(self.kernel, total.of).filter(|_| is_term(self.kernel, total.of));
        terms.is_some_and(|(value, bound)| is_same(bound, peak.reduction.value) && is_same(value, peak.of))
    }

    /// A lane loop that only reads, and reduces f32 in one way.
    fn reduces<'n>(&self, node: &'n Node, op: ReduceOp) -> Option<Reduces<'n>> {
        let Node::Loop { axis, lanes: true, reductions, body } = node else { return None };
        let [reduction] = &reductions[..] else { return None };
        let Op::Reduce(reduced, of, along) = self.kernel.values[reduction.value].op else { return None };
        let fits = reduced == op
            && along == *axis
            && [of, reduction.value].into_iter().all(|value| self.elem(value) == Elem::F32)
            && reduction.state.is_none()
            && reduction.keep.is_none()
            && body.iter().all(|node| self.only_reads(node));
        fits.then_some(Reduces { axis: *axis, reduction, of, body })
    }

    /// Before rows: how far ahead a pass asks for them.
    pub fn ahead_of_pass(&self, pass: Option<&OnePass<'_>>) -> TokenStream {
        pass.map_or_else(TokenStream::new, |pass| self.fars(&pass.reads, pass.axis, false))
    }

    /// In the place of the loop of the maximum: the pass, which finds the maximum of numbers and the sum in the window.
    pub fn in_one_pass(&self, rows: Rows<'_>, pass: &OnePass<'_>) -> Result<TokenStream, Refusal> {
        let OnePass { axis, reductions, body, exponential, .. } = pass;
        let window = self.window(rows, pass)?;
        let compute = Node::Compute { value: exponential.value, keep: None };
        let accumulate = Node::Accumulate { value: reductions[1].value, state: None };
        let body: Vec<Node> = body.iter().cloned().chain([compute, accumulate]).collect();
        let info = LaneLoop {
            far_reads: tensors(&pass.reads),
            in_window: Some(*exponential),
            ..LaneLoop::default()
        };
        self.open.borrow_mut().push(rows.axis);
        let tokens = self.lane_loop(*axis, &reductions.map(Reduction::clone), &body, info);
        self.open.borrow_mut().pop();
        let tokens = tokens?;
        Ok(quote!(#window #tokens))
    }

    /// After it, in a step of its own, as no row waits for that of another: the sum, or its loop if it is out of the
    /// window. Then it is NaN if an element is, which the maximum is too.
    pub fn after_one_pass(
        &self,
        rows: Rows<'_>,
        pass: &OnePass<'_>,
        ahead: &TokenStream,
    ) -> Result<TokenStream, Refusal> {
        let [peak, total] = pass.values().map(names::value);
        let (name, extent) = (names::plain("window"), self.extent(pass.axis));
        let window = self.window(rows, pass)?;
        let [max_loop, sum_loop] =
            [pass.max, pass.sum].map(|at| self.node_in_row(rows, at, self.lanes_of(rows, at, ahead)));
        let (max_loop, sum_loop) = (max_loop?, sum_loop?);
        Ok(quote! {
            #window
            let (#peak, #total) = match #name.sum(#peak, #total, #extent) {
                ::core::option::Option::Some(#total) => (#peak, #total),
                ::core::option::Option::None => {
                    #sum_loop
                    (if #total.is_nan() { #max_loop #peak } else { #peak }, #total)
                }
            };
        })
    }

    /// The window from a row's first on.
    fn window(&self, rows: Rows<'_>, pass: &OnePass<'_>) -> Result<TokenStream, Refusal> {
        let (private, position) = (&self.private, names::position(pass.axis));
        let (window, of, extent) =
            (names::plain("window"), names::value(pass.exponential.of), self.extent(pass.axis));
        let computes: Vec<Node> =
            pass.body.iter().filter(|node| matches!(node, Node::Compute { .. })).cloned().collect();
        let depth = self.open.borrow().len();
        self.open.borrow_mut().extend([rows.axis, pass.axis]);
        let first = self.nodes(&computes, At::Scalar);
        self.open.borrow_mut().truncate(depth);
        let first = first?;
        Ok(quote! {
            let #window = #private::cpu::Window::from(if #extent > 0 {
                let #position = 0;
                #first
                #of
            } else {
                0.0
            });
        })
    }

    /// The rows that take one pass, in words.
    pub fn passes_in_words(&self) -> String {
        let mut words = String::new();
        each_node(&self.schedule.body, &mut |node| {
            let Node::Loop { axis, lanes: false, body, .. } = node else { return };
            let Some(pass) = self.one_pass(Rows { axis: *axis, body }) else { return };
            let [rows, lanes] = [*axis, pass.axis].map(|axis| &self.kernel.axes[axis].key);
            let [max, sum] = pass.values().map(|value| value.at());
            words += &format!(
                "each {rows}: one pass of lanes {lanes} finds v{max} and v{sum}; another one finds v{sum} if exponentials are out of range or all may be equal\n"
            );
        });
        words
    }
}

impl OnePass<'_> {
    /// The maximum and the sum.
    pub fn values(&self) -> [ValueId; 2] {
        self.reductions.map(|reduction| reduction.value)
    }
}

#[cfg(test)]
mod tests {
    /// Whether rows of a kernel that stores an expression take one pass.
    fn is_one_pass(expression: &str) -> bool {
        let source = format!(
            "fn k<T: Float, M, N>(x: &Tensor<f32, (M, N)>, y: &Tensor<T, (M, N)>, z: &Tensor<f64, (M, N)>,
                                  scale: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {{
                for m in tile(M) {{
                    let (x, y, z, scale) = (x[(m, ..)], y[(m, ..)], z[(m, ..)], scale[m]);
                    out[m] = {expression};
                }}
            }}"
        );
        crate::cpu::schedule_in_words(&crate::cpu::tests::kernel(&source)).contains("one pass of lanes N")
    }

    #[test]
    fn sums_of_exponentials_below_a_maximum_take_one_pass() {
        let one = [
            "exp(x - x.max(N)).sum(N)",
            "exp_sub(x, x.max(N)).sum(N)",
            "exp(x - x.max(N)).mean(N)",
            "ln(exp(x - x.max(N)).sum(N)) + x.max(N)",
            "{ let row = x * scale; exp(row - row.max(N)).sum(N) }",
            "{ let row = y.cast::<f32>(); exp(row - row.max(N)).sum(N) }",
        ];
        for expression in one {
            assert!(is_one_pass(expression), "{expression}");
        }
    }

    #[test]
    fn other_sums_take_two() {
        let two = [
            "exp(x - x.min(N)).sum(N)",
            "exp(x - x.max(N)).max(N)",
            "exp(x * 2.0 - x.max(N)).sum(N)",
            "(exp(x - x.max(N)) * x).sum(N)",
            "exp(z - z.max(N)).sum(N).cast::<f32>()",
            "exp(y - y.max(N)).sum(N).cast::<f32>()",
            "exp(y.cast::<f32>() - y.max(N).cast::<f32>()).sum(N)",
            // Two reductions in one of the loops.
            "exp(x - x.max(N)).sum(N) + x.min(N)",
            "exp(x - x.max(N)).sum(N) + (x - x.max(N)).sum(N)",
        ];
        for expression in two {
            assert!(!is_one_pass(expression), "{expression}");
        }
    }
}
