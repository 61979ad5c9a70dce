//! Writes a row behind: the last lane loop of a row runs along with a loop of the row after (`pipeline.rs`).

use super::pipeline::{Beside, Pipeline};
use super::rows::Rows;
use super::steps::{Steps, defined};
use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeSet;
use tilewright_compiler::ir::{AxisId, ValueId};
use tilewright_compiler::schedule::{BufferId, Node, Refusal};

/// The lane loop at the end of a row that runs along with the one before it, of the next row.
pub struct Late<'n> {
    /// The lanes of both.
    axis: AxisId,
    body: &'n [Node],
    /// What it reads of its row, computed in its turn.
    values: Vec<ValueId>,
    /// Buffers that pass lanes from the loop before to this one, each at the same place: one row is enough.
    pub passed: BTreeSet<BufferId>,
}

impl Emitter<'_> {
    /// The last lane loop of a row, if it writes past the caches and can run along with the loop `along` of the row
    /// after, which ends with a reduction.
    pub fn late<'n>(&self, rows: Rows<'n>, along: usize, own: &BTreeSet<BufferId>) -> Option<Late<'n>> {
        let last = rows.body.last()?;
        let Node::Loop { axis, lanes: true, reductions, body } = last else { return None };
        let Node::Loop { axis: other, reductions: others, .. } = &rows.body[along] else { return None };
        let streamed = self.streamed();
        let stores = |node: &Node| matches!(node, Node::Store { tensor, .. } if streamed.contains(tensor));
        let only_reads = |node: &Node| {
            matches!(node, Node::Compute { keep: None, .. } | Node::Fetch { .. }) || stores(node)
        };
        let fits = axis == other
            && reductions.is_empty()
            && !others.is_empty()
            && body.iter().all(only_reads)
            && body.iter().any(stores);
        if !fits {
            return None;
        }
        let pair = [&rows.body[along..=along], std::slice::from_ref(last)];
        let is_passed = |buffer: &&BufferId| {
            let is_it = |touched: BufferId| touched == **buffer;
            let of_pair: usize = pair.iter().map(|nodes| self.n_touches(nodes, &is_it)).sum();
            of_pair == self.n_touches(rows.body, &is_it) && self.schedule.buffers[buffer.0].axes == [*axis]
        };
        let passed = own.iter().filter(is_passed).copied().collect();
        let used = self.used(body);
        let values = defined(rows.body).into_iter().filter(|value| used.contains(value)).collect();
        Some(Late { axis: *axis, body, values, passed })
    }

    /// Beside a loop: the late one of the row before.
    pub fn beside_late(
        &self,
        steps: &Steps<'_>,
        pipeline: &Pipeline<'_>,
        late: &Late<'_>,
    ) -> Result<Beside, Refusal> {
        let last = self.lanes_of(steps.rows, steps.rows.body.len() - 1, &quote!(2));
        // As the loop that it runs along with.
        let info = LaneLoop { is_heavy: true, ..last };
        let body = self.body_beside(steps.rows.axis, late.body, At::Lanes(late.axis, &info))?;
        let position = names::position(steps.rows.axis);
        let names = self.late_names(steps, pipeline, late, &quote!(#position - 1));
        Ok(Beside {
            tokens: quote!(if #position > 0 { #names #body }),
            contiguous: info.contiguous.into_inner(),
            writes: true,
        })
    }

    /// What a late loop reads, under the names that it has in its turn.
    fn late_names(
        &self,
        steps: &Steps<'_>,
        pipeline: &Pipeline<'_>,
        late: &Late<'_>,
        at: &TokenStream,
    ) -> TokenStream {
        let position = names::position(steps.rows.axis);
        let own = self.own_of_pipeline(steps, pipeline, &quote!(#position));
        let values = late.values.iter().map(|value| {
            let (name, late) = (names::value(*value), names::late(*value));
            quote!(let #name = #late;)
        });
        quote!(let #position = #at; #own #(#values)*)
    }

    /// At the end of a row: what its late loop will read.
    pub fn keep_late(&self, late: &Late<'_>) -> TokenStream {
        let kept = late.values.iter().map(|value| {
            let (late, name) = (names::late(*value), names::value(*value));
            quote!(#late = #name;)
        });
        quote!(#(#kept)*)
    }

    /// Where what a late loop reads is carried.
    pub fn late_variables(&self, late: &Late<'_>) -> TokenStream {
        let values = late.values.iter().map(|value| {
            let (late, elem) = (names::late(*value), self.elem(*value));
            let (ty, zero) = (self.ty(elem, At::Scalar), self.zero(elem));
            quote!(let mut #late: #ty = #zero;)
        });
        quote!(#(#values)*)
    }

    /// After the rows: the late loop of the last one.
    pub fn last_late(
        &self,
        steps: &Steps<'_>,
        pipeline: &Pipeline<'_>,
        late: &Late<'_>,
    ) -> Result<TokenStream, Refusal> {
        let (rows, extent) = (steps.rows, self.extent(steps.rows.axis));
        let last = rows.body.len() - 1;
        let names = self.late_names(steps, pipeline, late, &quote!(#extent - 1));
        let tokens = self.node_in_row(rows, last, self.lanes_of(rows, last, &quote!(1)))?;
        Ok(quote!(if #extent > 0 { #names #tokens }))
    }
}
