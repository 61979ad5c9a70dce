//! Reductions: state before the loop, one step in it, the result after.

use super::values::{At, combine};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{AxisId, Elem, Literal, Op, ReduceOp, ValueId};
use tilewright_compiler::schedule::{BufferId, Reduction};

/// How many accumulators an unrolled lane loop has.
pub const UNROLL: usize = 4;

impl Emitter<'_> {
    /// What leaves the reduction as it is, as a scalar.
    #[expect(clippy::wildcard_enum_match_arm, reason = "asks about reductions alone")]
    fn identity(&self, value: ValueId) -> TokenStream {
        let elem = self.elem(value);
        match &self.kernel.values[value].op {
            Op::Reduce(op, of, _) => match op {
                ReduceOp::Sum | ReduceOp::Mean => self.literal(Literal::Int(0), elem),
                ReduceOp::Prod => self.literal(Literal::Int(1), elem),
                ReduceOp::Max => self.extreme(elem, true),
                ReduceOp::Min => self.extreme(elem, false),
                ReduceOp::Any => quote!(false),
                ReduceOp::All => quote!(true),
                ReduceOp::Argmax | ReduceOp::Argmin => self.literal(Literal::Int(0), self.elem(*of)),
            },
            Op::Fold(fold) => self.plain(fold.init, At::Scalar),
            _ => self.literal(Literal::Int(0), elem),
        }
    }

    /// Before the loop.
    #[expect(clippy::wildcard_enum_match_arm, reason = "asks about reductions alone")]
    pub fn start(&self, reduction: &Reduction, at: At<'_>, slots: usize) -> TokenStream {
        if let Some(buffer) = reduction.state {
            return self.start_buffer(reduction.value, buffer);
        }
        let (private, set, name) = (&self.private, self.set(at), names::state(reduction.value));
        let identity = self.identity(reduction.value);
        let splat = self.splat(identity.clone(), self.reduced_elem(reduction.value), at);
        match &self.kernel.values[reduction.value].op {
            Op::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, ..) => {
                quote!(let mut #name = #private::cpu::Extreme::<#set, _>::none(#splat);)
            }
            Op::Fold(_) => quote!(let mut #name = #identity;),
            _ => match at {
                At::Scalar => quote!(let mut #name = #identity;),
                At::Lanes(..) => quote!(let mut #name = [#splat; #slots];),
            },
        }
    }

    /// The element type that a reduction compares or adds in.
    #[expect(clippy::wildcard_enum_match_arm, reason = "asks about reductions alone")]
    fn reduced_elem(&self, value: ValueId) -> Elem {
        match self.kernel.values[value].op {
            Op::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, of, _) => self.elem(of),
            _ => self.elem(value),
        }
    }

    /// Fills the part of the buffer that the loop reduces into.
    fn start_buffer(&self, value: ValueId, buffer: BufferId) -> TokenStream {
        let private = &self.private;
        let open = self.open.borrow();
        let is_open = |axis: AxisId| open.contains(&axis);
        let axes = &self.schedule.buffers[buffer.0].axes;
        let rooms = axes.iter().filter(|axis| !is_open(**axis)).map(|axis| names::room(*axis));
        let offset = self.buffer_offset(buffer, &is_open);
        let (name, elem) = (names::buffer(buffer), self.schedule.buffers[buffer.0].elem);
        let (stored, n) = (self.stored(elem), quote!((1 #(* #rooms)*)));
        let is_index =
            matches!(self.kernel.values[value].op, Op::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, ..));
        let identity = if is_index { quote!(-1) } else { self.identity(value) };
        quote!(#private::cpu::fill::<__S, #stored>(#name.add(#offset), #n, #identity);)
    }

    /// In the loop.
    #[expect(clippy::wildcard_enum_match_arm, reason = "asks about reductions alone")]
    pub fn step(&self, value: ValueId, state: Option<BufferId>, at: At<'_>) -> TokenStream {
        match &self.kernel.values[value].op {
            Op::Reduce(op, of, axis) => match (combine(*op), state) {
                (None, _) => self.extreme_step(value, *op, *of, *axis, state, at),
                (Some(_), Some(buffer)) => {
                    let private = &self.private;
                    let (old, of) = (self.read_buffer(buffer, at), self.operand(*of, at));
                    let step = combine(*op).map(|(step, _)| step);
                    self.write_buffer(buffer, quote!(#private::simd::Vector::#step(#old, #of)), at)
                }
                (Some((step, _)), None) => self.register_step(value, &step, *of, at),
            },
            Op::Fold(fold) => {
                let (of, private) = (self.operand(fold.value, at), &self.private);
                let name = names::state(value);
                match (state, at) {
                    (Some(buffer), _) => {
                        let old = self.read_buffer(buffer, at);
                        let new = self.fold_step(fold, old, of, at);
                        self.write_buffer(buffer, new, at)
                    }
                    (None, At::Scalar) => {
                        let new = self.fold_step(fold, quote!(#name), of, at);
                        quote!(#name = #new;)
                    }
                    // In order: the closure need not commute.
                    (None, At::Lanes(..)) => {
                        let (lane, n) = (names::plain("lane"), self.n_lanes(at));
                        let of = quote!(#private::simd::Vector::lane(#of, #lane));
                        let new = self.fold_step(fold, quote!(#name), of, At::Scalar);
                        quote!(for #lane in 0..#n { #name = #new; })
                    }
                }
            }
            _ => TokenStream::new(),
        }
    }

    fn register_step(
        &self,
        value: ValueId,
        step: &proc_macro2::Ident,
        of: ValueId,
        at: At<'_>,
    ) -> TokenStream {
        let (private, name, operand) = (&self.private, names::state(value), self.operand(of, at));
        match at {
            At::Scalar => quote!(#name = #private::simd::Vector::#step(#name, #operand);),
            At::Lanes(_, lanes) => {
                lanes.has_reduction.set(true);
                let (slot, n) = (names::plain("slot"), names::plain("n"));
                let identity = self.splat(self.identity(value), self.elem(value), at);
                quote! {
                    #name[#slot] = #private::simd::Vector::#step(
                        #name[#slot], #private::cpu::live(#operand, #n, #identity));
                }
            }
        }
    }

    fn extreme_step(
        &self,
        value: ValueId,
        op: ReduceOp,
        of: ValueId,
        axis: AxisId,
        state: Option<BufferId>,
        at: At<'_>,
    ) -> TokenStream {
        let (private, name, n) = (&self.private, names::state(value), self.n_lanes(at));
        let least = op == ReduceOp::Argmin;
        let operand = self.operand(of, at);
        let index = match at {
            At::Lanes(lane, _) if lane != axis => {
                let index = self.scalar_index(axis);
                quote!(#private::cpu::splat::<__S, i32>(#index))
            }
            At::Lanes(..) | At::Scalar => self.axis_index(axis, at),
        };
        let Some(buffer) = state else {
            return quote!(#name = #name.with(#operand, #index, #n, #least););
        };
        let (extremes, elem) = (names::extremes(buffer), self.elem(of));
        let extremes = quote!(#extremes);
        let (best, known) =
            (self.read_tile(extremes.clone(), buffer, elem, at), self.read_buffer(buffer, at));
        let set = self.set(at);
        let write_best = self.write_tile(extremes, buffer, elem, quote!(#name.best), at);
        let write_index = self.write_buffer(buffer, quote!(#name.index), at);
        quote! {
            let #name = #private::cpu::Extreme::<#set, _> { best: #best, index: #known }
                .with(#operand, #index, #n, #least);
            #write_best
            #write_index
        }
    }

    /// After the loop.
    #[expect(clippy::wildcard_enum_match_arm, reason = "asks about reductions alone")]
    pub fn finish(&self, reduction: &Reduction, at: At<'_>, slots: usize) -> TokenStream {
        if reduction.state.is_some() {
            return TokenStream::new();
        }
        let (private, value, state) =
            (&self.private, names::value(reduction.value), names::state(reduction.value));
        let result = match &self.kernel.values[reduction.value].op {
            Op::Reduce(op, ..) => match (combine(*op), at) {
                (None, _) => {
                    let least = *op == ReduceOp::Argmin;
                    quote!(#state.index(#least))
                }
                (Some(_), At::Scalar) => quote!(#state),
                (Some((step, all)), At::Lanes(..)) => {
                    let vector = if slots == UNROLL {
                        quote!(#private::simd::Vector::#step(
                            #private::simd::Vector::#step(#state[0], #state[1]),
                            #private::simd::Vector::#step(#state[2], #state[3])))
                    } else {
                        quote!(#state[0])
                    };
                    quote!(#private::simd::Vector::#all(#vector))
                }
            },
            _ => quote!(#state),
        };
        let ty = self.ty(self.elem(reduction.value), At::Scalar);
        let keep = reduction.keep.map(|buffer| self.write_buffer(buffer, quote!(#value), At::Scalar));
        quote!(let #value: #ty = #result; #keep)
    }
}
