//! Lane loops that call functions take four vectors in step.
//!
//! Operations are those of one instruction set with four times as many lanes, `Four<S>`; what moves lanes, to or from
//! memory or into a reduction, does so for one vector of `S` after the other:
//!
//! ```text
//! lanes N:  v0 = x[m, N]        let done = fours::<S>(…, |x1| {
//!           v2 = exp(v0)            let v0 = f32::four::<S>(|part| { let x1 = …; x.load::<S>(…) });
//!           v4 = sum of v2          let v2 = Floats::exp(v0);
//!                                   each_of_four::<S>(x1, |part, x1| { let v2 = f32::part(v2, part); r4[part] += v2 });
//!                               });
//!                               lanes::<S, 1, true>(done, …, |x1, n, slot, unit| …)
//! ```

use super::data::Lane;
use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeSet;
use tilewright_compiler::ir::{AxisId, BinaryOp, Index, Op, ReduceOp, UnaryOp, ValueId};
use tilewright_compiler::schedule::{Node, Refusal, is_leaf, operands};

impl Emitter<'_> {
    /// Whether the body of a lane loop calls functions that are chains of operations on f32, and no others, and all
    /// else in it can be done for four vectors.
    pub fn takes_four(&self, nodes: &[Node], at: At<'_>) -> bool {
        let is_other = |node: &Node| self.is_function(node) && !self.is_chain(node);
        nodes.iter().any(|node| self.is_chain(node))
            && nodes.iter().all(|node| self.is_for_four(node, at) && !is_other(node))
    }

    /// Functions of f64 and remainders go lane by lane, `pow` through f64, and the tables of `silu` take so many
    /// registers that it is slower (`silu · mul`, 0.97).
    fn is_chain(&self, node: &Node) -> bool {
        let Node::Compute { value, .. } = node else { return false };
        let is_apart = matches!(
            self.kernel.values[*value].op,
            Op::Unary(UnaryOp::Silu, _) | Op::Binary(BinaryOp::Rem | BinaryOp::Pow, ..)
        );
        let is_wide = matches!(self.lane(self.elem(*value)), Lane::F64 | Lane::I64);
        self.is_function(node) && !is_apart && !is_wide
    }

    fn is_for_four(&self, node: &Node, at: At<'_>) -> bool {
        match node {
            Node::Compute { value, .. } => {
                let op = &self.kernel.values[*value].op;
                let is_far = matches!(op, Op::Load { index, .. } if !self.are_neighbours(index, at));
                !is_far && self.is_vector(*value, at)
            }
            Node::Keep { .. } | Node::Fetch { .. } => true,
            Node::Accumulate { value, .. } => {
                let op = &self.kernel.values[*value].op;
                matches!(op, Op::Reduce(op, ..) if !matches!(op, ReduceOp::Argmax | ReduceOp::Argmin))
            }
            Node::Store { index, .. } => self.are_neighbours(index, at),
            Node::Assign { .. }
            | Node::Loop { .. }
            | Node::Dot(_)
            | Node::Sum { .. }
            | Node::Copy { .. }
            | Node::Shortcut { .. }
            | Node::Sequential { .. }
            | Node::If { .. }
            | Node::Break
            | Node::Continue => false,
        }
    }

    /// Whether lanes are in one place with a stride.
    fn are_neighbours(&self, index: &[Index], at: At<'_>) -> bool {
        let At::Lanes(lanes, _) = at else { return false };
        index.iter().all(|index| match index {
            Index::Axis { axis, offset } => offset.is_none() || *axis != lanes,
            Index::Scalar(value) | Index::Gather(value) => !self.is_vector(*value, at),
        })
    }

    /// The lanes that a loop takes in step, four vectors at a time: how many those are.
    pub fn in_fours(&self, axis: AxisId, nodes: &[Node], info: &LaneLoop) -> Result<TokenStream, Refusal> {
        let (private, position, extent) = (&self.private, names::position(axis), self.extent(axis));
        let beside = &info.beside.tokens;
        // What goes beside has one accumulator.
        let beside = (!beside.is_empty()).then(|| self.each_of_four(axis, beside, &quote!(0)));
        let nodes = self.loads_late(nodes).into_iter();
        let body: TokenStream =
            nodes.map(|node| self.of_four(node, axis, info)).collect::<Result<_, Refusal>>()?;
        Ok(quote! {
            #private::cpu::fours::<__S>(#extent, #[inline(always)] |#position: usize| { #beside #body })
        })
    }

    /// Nodes with each load right before what uses it, so that it takes no registers before, but not behind what
    /// writes.
    fn loads_late<'n>(&self, nodes: &'n [Node]) -> Vec<&'n Node> {
        let (mut ordered, mut waiting): (Vec<&Node>, Vec<(ValueId, &Node)>) = Default::default();
        for node in nodes {
            let Node::Compute { value, keep: None } = node else {
                ordered.extend(waiting.drain(..).map(|(_, load)| load));
                ordered.push(node);
                continue;
            };
            if let Op::Load { .. } = self.kernel.values[*value].op {
                waiting.push((*value, node));
                continue;
            }
            let used = operands(self.kernel, *value);
            ordered.extend(waiting.iter().filter(|(load, _)| used.contains(load)).map(|(_, load)| *load));
            waiting.retain(|(load, _)| !used.contains(load));
            ordered.push(node);
        }
        ordered.extend(waiting.into_iter().map(|(_, load)| load));
        ordered
    }

    /// A node for four vectors.
    fn of_four(&self, node: &Node, axis: AxisId, info: &LaneLoop) -> Result<TokenStream, Refusal> {
        let (at, private, number) = (At::Lanes(axis, info), &self.private, names::plain("part"));
        let part = |node: &Node| -> Result<TokenStream, Refusal> {
            let (parts, tokens) = (self.parts(node, at), self.node(node, at)?);
            Ok(self.each_of_four(axis, &quote!(#parts #tokens), &quote!(#number)))
        };
        let (value, keep, is_fetch) = if let Node::Compute { value, keep } = node {
            (value, *keep, false)
        } else if let Node::Fetch { value, .. } = node {
            (value, None, true)
        } else {
            return part(node);
        };
        let (name, elem) = (names::value(*value), self.elem(*value));
        let moves = is_fetch || matches!(self.kernel.values[*value].op, Op::Load { .. } | Op::Read(_));
        let scalar = self.scalar(elem);
        let ty = quote!(<#scalar as #private::simd::Lane>::Of<#private::simd::Four<__S>>);
        let tokens = if moves {
            let (position, n) = (names::position(axis), self.within_four(&quote!(#number)));
            let (parts, moved) = (self.parts(node, at), self.node(node, at)?);
            quote! {
                let #name: #ty = <#scalar as #private::simd::Lane>::four::<__S>(#[inline(always)] |#number: usize| {
                    let #position = #position + #number * <__S as #private::simd::Simd>::LANES;
                    #n #parts #moved #name
                });
            }
        } else {
            info.in_fours.set(true);
            let computed = self.compute(*value, at);
            info.in_fours.set(false);
            quote!(let #name: #ty = #computed;)
        };
        let kept = keep.filter(|_| !moves).map(|buffer| part(&Node::Keep { value: *value, buffer }));
        let kept = kept.transpose()?;
        Ok(quote!(#tokens #kept))
    }

    /// Code for one vector, for each of four, and the accumulator of each.
    fn each_of_four(&self, axis: AxisId, tokens: &TokenStream, slot: &TokenStream) -> TokenStream {
        let (private, position, n) = (&self.private, names::position(axis), self.within_four(slot));
        let part = names::plain("part");
        quote! {
            #private::cpu::each_of_four::<__S>(#position, #[inline(always)] |#part: usize, #position: usize| {
                #n #tokens
            });
        }
    }

    /// What the body of a lane loop knows of its vector, where that is one of four.
    fn within_four(&self, accumulator: &TokenStream) -> TokenStream {
        let private = &self.private;
        let [n, slot, unit] = ["n", "slot", "unit"].map(names::plain);
        quote!(let (#n, #slot, #unit) = (<__S as #private::simd::Simd>::LANES, #accumulator, true);)
    }

    /// One of four vectors, of each value that a node uses.
    fn parts(&self, node: &Node, at: At<'_>) -> TokenStream {
        let (private, part) = (&self.private, names::plain("part"));
        let mut used = Vec::new();
        if let Node::Compute { value, .. } | Node::Accumulate { value, .. } = node {
            used = operands(self.kernel, *value);
        } else if let Node::Keep { value, .. } | Node::Store { value, .. } = node {
            used.push(*value);
        }
        let is_one = |value: &ValueId| self.is_vector(*value, at) && !is_leaf(self.kernel, *value);
        let used: BTreeSet<ValueId> = used.into_iter().filter(is_one).collect();
        let parts = used.into_iter().map(|value| {
            let (name, scalar) = (names::value(value), self.scalar(self.elem(value)));
            quote!(let #name = <#scalar as #private::simd::Lane>::part::<__S>(#name, #part);)
        });
        quote!(#(#parts)*)
    }
}
