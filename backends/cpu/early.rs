//! Reads a row ahead: the first lane loop of a row runs along with a loop of the row before (`pipeline.rs`).

use super::pipeline::Beside;
use super::rows::{Rows, tensors};
use super::steps::defined;
use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{AxisId, Index, Op, ParamId, ReduceOp, ValueId};
use tilewright_compiler::schedule::{Node, Reduction, Refusal};

/// The lane loop at the beginning of a row that runs along with a later one, of the row before.
pub struct Early<'n> {
    /// Which node of the row it is.
    pub at: usize,
    /// The lanes of both.
    axis: AxisId,
    reductions: &'n [Reduction],
    body: &'n [Node],
    /// The tensors of which it reads a row, and which dimension the rows are.
    pub reads: Vec<(ParamId, usize)>,
}

/// An early loop beside another one.
pub struct BesideEarly {
    pub beside: Beside,
    /// Before the loop and after it: its reductions.
    pub starts: TokenStream,
    pub finishes: TokenStream,
}

impl Emitter<'_> {
    /// The lane loop `at` of a row, if it can run along with the loop `along` of the row before: it only reads
    /// tensors, and what it reduces to does not depend on how many lanes are reduced at once.
    pub fn early<'n>(&self, rows: Rows<'n>, at: usize, along: usize) -> Option<Early<'n>> {
        let Node::Loop { axis, lanes: true, reductions, body } = &rows.body[at] else { return None };
        let Node::Loop { axis: other, .. } = &rows.body[along] else { return None };
        let reads = self.rows_read(rows.axis, &rows.body[at..=at]);
        let (used, known) = (self.used(body), defined(&rows.body[..at]));
        let fits = at < along
            && axis == other
            && !reads.is_empty()
            && !self.are_heavy(body)
            && body.iter().all(|node| self.only_reads(node) && self.reads_along(node, *axis))
            && reductions.iter().all(|reduction| self.is_early(reduction))
            && !known.iter().any(|value| used.contains(value));
        fits.then_some(Early { at, axis: *axis, reductions, body, reads })
    }

    /// Whether a node of a lane loop computes of tensors, or reduces, and nothing else.
    pub fn only_reads(&self, node: &Node) -> bool {
        let is_variable = |value: &ValueId| matches!(self.kernel.values[*value].op, Op::Read(_));
        matches!(node, Node::Compute { value, keep: None } if !is_variable(value))
            || matches!(node, Node::Accumulate { state: None, .. })
    }

    /// Whether what a node loads has its last dimension along an axis, or none: else no vector of the loop that it goes
    /// with would be contiguous.
    fn reads_along(&self, node: &Node, lanes: AxisId) -> bool {
        let Node::Compute { value, .. } = node else { return true };
        let Op::Load { index, .. } = &self.kernel.values[*value].op else { return true };
        let is_lanes = |index: &Index| matches!(index, Index::Axis { axis, .. } if *axis == lanes);
        let before = index.len().saturating_sub(1);
        !index[..before].iter().any(is_lanes)
    }

    fn is_early(&self, reduction: &Reduction) -> bool {
        let Op::Reduce(op, ..) = self.kernel.values[reduction.value].op else { return false };
        let is_in_any_order = matches!(op, ReduceOp::Max | ReduceOp::Min | ReduceOp::Any | ReduceOp::All);
        is_in_any_order && reduction.state.is_none() && reduction.keep.is_none()
    }

    /// Before the rows: the early loop of the first one.
    pub fn first_early(
        &self,
        rows: Rows<'_>,
        early: &Early<'_>,
        has_late: bool,
    ) -> Result<TokenStream, Refusal> {
        let (position, extent) = (names::position(rows.axis), self.extent(rows.axis));
        let variables = early.reductions.iter().map(|reduction| {
            let (name, elem) = (names::early(reduction.value), self.elem(reduction.value));
            let (ty, zero) = (self.ty(elem, At::Scalar), self.zero(elem));
            quote!(let mut #name: #ty = #zero;)
        });
        let fars = self.fars(&early.reads, early.axis, has_late);
        let tokens = self.node_in_row(rows, early.at, self.far_lanes(early))?;
        let keep = self.keep_early(early);
        Ok(quote! {
            #fars
            #(#variables)*
            if #extent > 0 { let #position = 0; #tokens #keep }
        })
    }

    /// How far ahead the caches are asked for each of some tensors, which dimension of it the rows are.
    pub fn fars(&self, reads: &[(ParamId, usize)], lanes: AxisId, writes: bool) -> TokenStream {
        let (private, lanes) = (&self.private, self.extent(lanes));
        let fars = reads.iter().map(|(tensor, dimension)| {
            let (far, view, element) =
                (names::far(*tensor), names::param(*tensor), self.element(self.tensor(*tensor).0));
            quote!(let #far = #private::cpu::far::<#element>(#view.strides[#dimension], #lanes, #writes);)
        });
        quote!(#(#fars)*)
    }

    /// In a row, in its turn: what the early loop found.
    pub fn early_values(&self, early: &Early<'_>) -> TokenStream {
        let values = early.reductions.iter().map(|reduction| {
            let (name, early) = (names::value(reduction.value), names::early(reduction.value));
            quote!(let #name = #early;)
        });
        quote!(#(#values)*)
    }

    /// Beside a loop: the early one of the next row. Of the last row it is that row's again, which is in the caches; it
    /// comes before the body of the loop, which may write where that row was read.
    pub fn beside_early(&self, rows: Rows<'_>, early: &Early<'_>) -> Result<BesideEarly, Refusal> {
        let info = self.far_lanes(early);
        let at = At::Lanes(early.axis, &info);
        let starts = early.reductions.iter().map(|reduction| self.start(reduction, at, 1)).collect();
        let finishes = early.reductions.iter().map(|reduction| self.finish(reduction, at, 1));
        let keep = self.keep_early(early);
        let finishes = quote!({ #(#finishes)* #keep });
        let body = self.body_beside(rows.axis, early.body, at)?;
        let (position, extent) = (names::position(rows.axis), self.extent(rows.axis));
        let tokens = quote!({ let #position = ::core::cmp::Ord::min(#position + 1, #extent - 1); #body });
        let beside = Beside { tokens, contiguous: info.contiguous.into_inner(), writes: false };
        Ok(BesideEarly { beside, starts, finishes })
    }

    /// Hands what a loop found to the row that it belongs to.
    fn keep_early(&self, early: &Early<'_>) -> TokenStream {
        let kept = early.reductions.iter().map(|reduction| {
            let (name, early) = (names::value(reduction.value), names::early(reduction.value));
            quote!(#early = #name;)
        });
        quote!(#(#kept)*)
    }

    fn far_lanes(&self, early: &Early<'_>) -> LaneLoop {
        LaneLoop { far_reads: tensors(&early.reads), has_one_slot: true, ..LaneLoop::default() }
    }
}
