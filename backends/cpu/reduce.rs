//! Reductions: state before the loop, one step in it, the result after.

use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use tilewright_compiler::ir::{AxisId, Fold, Literal, Op, ReduceOp, ValueId};
use tilewright_compiler::schedule::{BufferId, Reduction};

/// How many accumulators an unrolled lane loop has.
pub const UNROLL: usize = 4;

/// How a reduction works.
enum Method<'k> {
    /// With a vector function, and one over the lanes of a vector.
    Combine { step: Ident, all: Ident, of: ValueId, op: ReduceOp },
    /// The index of the extreme.
    Extreme { least: bool, of: ValueId, axis: AxisId },
    /// With the user's closure.
    Fold(&'k Fold),
}

impl<'s> Emitter<'s> {
    fn method(&self, value: ValueId) -> Method<'s> {
        let op = &self.kernel.values[value].op;
        if let Op::Fold(fold) = op {
            return Method::Fold(fold);
        }
        let Op::Reduce(op, of, axis) = *op else {
            unreachable!("internal fault of tilewright: a schedule reduces with {op:?}")
        };
        let (step, all) = match op {
            ReduceOp::Sum | ReduceOp::Mean => ("add", "reduce_add"),
            ReduceOp::Prod => ("mul", "reduce_mul"),
            ReduceOp::Max | ReduceOp::Any => ("max", "reduce_max"),
            ReduceOp::Min | ReduceOp::All => ("min", "reduce_min"),
            ReduceOp::Argmax => return Method::Extreme { least: false, of, axis },
            ReduceOp::Argmin => return Method::Extreme { least: true, of, axis },
        };
        Method::Combine { step: names::plain(step), all: names::plain(all), of, op }
    }

    /// Whether the reduction is the least or largest float.
    fn peak(&self, value: ValueId, op: ReduceOp) -> Option<bool> {
        let least = match op {
            ReduceOp::Max => false,
            ReduceOp::Min => true,
            ReduceOp::Sum
            | ReduceOp::Mean
            | ReduceOp::Prod
            | ReduceOp::Any
            | ReduceOp::All
            | ReduceOp::Argmax
            | ReduceOp::Argmin => return None,
        };
        self.elem(value).is_float(&self.kernel.elements).then_some(least)
    }

    /// Whether a reduction is a maximum beside exponentials in a window: one accumulator is early enough, and leaves its
    /// registers to those.
    pub fn is_beside_window(&self, value: ValueId, lanes: &LaneLoop) -> bool {
        let is_peak =
            matches!(self.method(value), Method::Combine { op, .. } if self.peak(value, op).is_some());
        is_peak && lanes.in_window.is_some()
    }

    /// What leaves the reduction as it is, as a scalar.
    fn identity(&self, value: ValueId) -> TokenStream {
        let elem = self.elem(value);
        match self.method(value) {
            Method::Extreme { of, .. } => self.literal(Literal::Int(0), self.elem(of)),
            Method::Fold(fold) => self.plain(fold.init, At::Scalar),
            Method::Combine { op, .. } => match op {
                ReduceOp::Prod => self.literal(Literal::Int(1), elem),
                ReduceOp::Max => self.extreme(elem, true),
                ReduceOp::Min => self.extreme(elem, false),
                ReduceOp::Any => quote!(false),
                ReduceOp::All => quote!(true),
                ReduceOp::Sum | ReduceOp::Mean | ReduceOp::Argmax | ReduceOp::Argmin => {
                    self.literal(Literal::Int(0), elem)
                }
            },
        }
    }

    /// Before the loop.
    pub fn start(&self, reduction: &Reduction, at: At<'_>, slots: usize) -> TokenStream {
        if let Some(buffer) = reduction.state {
            return self.start_buffer(reduction.value, buffer);
        }
        let (private, set, name) = (&self.private, self.set(at), names::state(reduction.value));
        let identity = self.identity(reduction.value);
        match (self.method(reduction.value), at) {
            (Method::Extreme { of, .. }, _) => {
                let splat = self.splat(identity, self.elem(of), at);
                quote!(let mut #name = #private::cpu::Extreme::<#set, _>::none(#splat);)
            }
            (Method::Fold(_), _) | (Method::Combine { .. }, At::Scalar) => quote!(let mut #name = #identity;),
            (Method::Combine { op, .. }, At::Lanes(..)) => {
                let splat = self.splat(identity, self.elem(reduction.value), at);
                match self.peak(reduction.value, op) {
                    Some(_) => {
                        quote!(let mut #name = [#private::cpu::Peak::none(#splat); #slots];)
                    }
                    None => quote!(let mut #name = [#splat; #slots];),
                }
            }
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
        let identity = match self.method(value) {
            // No index so far.
            Method::Extreme { .. } => quote!(-1),
            Method::Combine { .. } | Method::Fold(_) => self.identity(value),
        };
        quote!(#private::cpu::fill::<__S, #stored>(#name.add(#offset), #n, #identity);)
    }

    /// In the loop.
    pub fn step(&self, value: ValueId, state: Option<BufferId>, at: At<'_>) -> TokenStream {
        let private = &self.private;
        match (self.method(value), state) {
            (Method::Extreme { least, of, axis }, _) => self.extreme_step(value, least, of, axis, state, at),
            (Method::Combine { step, of, .. }, Some(buffer)) => {
                let (old, of) = (self.read_buffer(buffer, at), self.operand(of, at));
                self.write_buffer(buffer, quote!(#private::simd::Vector::#step(#old, #of)), at)
            }
            (Method::Combine { step, of, op, .. }, None) => self.register_step(value, (&step, op), of, at),
            (Method::Fold(fold), Some(buffer)) => {
                let (old, of) = (self.read_buffer(buffer, at), self.operand(fold.value, at));
                let new = self.fold_step(fold, old, of, at);
                self.write_buffer(buffer, new, at)
            }
            (Method::Fold(fold), None) => self.fold_in_order(value, fold, at),
        }
    }

    /// One lane after the other: the closure need not commute.
    fn fold_in_order(&self, value: ValueId, fold: &Fold, at: At<'_>) -> TokenStream {
        let (private, name, of) = (&self.private, names::state(value), self.operand(fold.value, at));
        match at {
            At::Scalar => {
                let new = self.fold_step(fold, quote!(#name), of, at);
                quote!(#name = #new;)
            }
            At::Lanes(..) => {
                let (lane, n) = (names::plain("lane"), self.n_lanes(at));
                let of = quote!(#private::simd::Vector::lane(#of, #lane));
                let new = self.fold_step(fold, quote!(#name), of, At::Scalar);
                quote!(for #lane in 0..#n { #name = #new; })
            }
        }
    }

    fn register_step(
        &self,
        value: ValueId,
        (step, op): (&Ident, ReduceOp),
        of: ValueId,
        at: At<'_>,
    ) -> TokenStream {
        let (private, name, operand) = (&self.private, names::state(value), self.operand(of, at));
        match at {
            At::Scalar => quote!(#name = #private::simd::Vector::#step(#name, #operand);),
            At::Lanes(_, lanes) => {
                lanes.has_reduction.set(true);
                let (slot, n) = (names::plain("slot"), names::plain("n"));
                if lanes.in_window.is_some_and(|exponential| exponential.sum == value) {
                    // The exponential is the sum with it; lanes that are none keep the sum before.
                    return quote!(#name[#slot] = #private::cpu::live(#operand, #n, #name[#slot]););
                }
                let identity = self.splat(self.identity(value), self.elem(value), at);
                let live = quote!(#private::cpu::live(#operand, #n, #identity));
                match self.peak(value, op) {
                    // NaN makes the sum NaN that is beside it.
                    Some(least) if self.is_beside_window(value, lanes) => {
                        quote!(#name[0] = #name[0].with_numbers(#live, #least);)
                    }
                    Some(least) => quote!(#name[#slot] = #name[#slot].with(#live, #least);),
                    None => quote!(#name[#slot] = #private::simd::Vector::#step(#name[#slot], #live);),
                }
            }
        }
    }

    /// What a lane loop has accumulated so far, for one vector or for four.
    pub fn accumulator(&self, value: ValueId, lanes: &LaneLoop) -> TokenStream {
        let (private, name, slot) = (&self.private, names::state(value), names::plain("slot"));
        if !lanes.in_fours.get() {
            return quote!(#name[#slot]);
        }
        let (part, scalar) = (names::plain("part"), self.scalar(self.elem(value)));
        quote!(<#scalar as #private::simd::Lane>::four::<__S>(#[inline(always)] |#part: usize| #name[#part]))
    }

    fn extreme_step(
        &self,
        value: ValueId,
        least: bool,
        of: ValueId,
        axis: AxisId,
        state: Option<BufferId>,
        at: At<'_>,
    ) -> TokenStream {
        let (private, name, n) = (&self.private, names::state(value), self.n_lanes(at));
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
    pub fn finish(&self, reduction: &Reduction, at: At<'_>, slots: usize) -> TokenStream {
        if reduction.state.is_some() {
            return TokenStream::new();
        }
        let private = &self.private;
        let (value, state) = (names::value(reduction.value), names::state(reduction.value));
        let result = match (self.method(reduction.value), at) {
            (Method::Extreme { least, .. }, _) => quote!(#state.index(#least)),
            (Method::Fold(_), _) | (Method::Combine { .. }, At::Scalar) => quote!(#state),
            (Method::Combine { op, .. }, At::Lanes(..))
                if let Some(least) = self.peak(reduction.value, op) =>
            {
                let ty = self.ty(self.elem(reduction.value), At::Scalar);
                let more = (1..slots).map(|slot| quote!(.and(#state[#slot], #least)));
                quote!(#state[0] #(#more)* .of_all(<#ty>::NAN, #least))
            }
            (Method::Combine { step, all, .. }, At::Lanes(..)) if slots == UNROLL => {
                quote!(#private::simd::Vector::#all(#private::simd::Vector::#step(
                    #private::simd::Vector::#step(#state[0], #state[1]),
                    #private::simd::Vector::#step(#state[2], #state[3]))))
            }
            (Method::Combine { all, .. }, At::Lanes(..)) => quote!(#private::simd::Vector::#all(#state[0])),
        };
        let ty = self.ty(self.elem(reduction.value), At::Scalar);
        let keep = reduction.keep.map(|buffer| self.write_buffer(buffer, quote!(#value), At::Scalar));
        quote!(let #value: #ty = #result; #keep)
    }
}
