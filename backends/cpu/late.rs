//! Writes that lag a row behind: the last lane loop of a row runs along with a loop of the next row.
//!
//! A softmax reads a row, computes on it in the caches, and writes it. Done one after the other, memory idles while
//! exponentials are computed, and then the processor waits while a whole row of results goes to memory. So each vector
//! of the next row's exponentials goes with a vector of results that leave:
//!
//! ```text
//! for each m                                     for each m
//!   lanes N: v1 = max of x                         lanes N: v1 = max of x
//!   lanes N: b0 = exp(x - v1), v4 = sum            lanes N: store out[m - 1] = b0 / v4 of m - 1, then
//!   lanes N: store out = b0 / v4                            b0 = exp(x - v1), v4 = sum
//!                                                lanes N: store out = b0 / v4, of the last m
//! ```

use super::rows::Rows;
use super::steps::{Steps, defined};
use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeSet;
use tilewright_compiler::ir::{AxisId, ValueId};
use tilewright_compiler::schedule::{BufferId, Node, Refusal, operation_cost};

/// What an operation costs that takes as long as a vector takes to memory: an exponential.
const FUNCTION: u32 = 20;

/// The lane loop at the end of a row that runs along with the one before it, of the next row.
#[derive(Clone)]
pub struct Late<'n> {
    /// The lanes of both.
    axis: AxisId,
    body: &'n [Node],
    /// What it reads of its row, computed in its turn.
    values: Vec<ValueId>,
    /// Buffers that pass lanes from the earlier loop to the later one, each at the same place: one row is enough.
    pub passed: BTreeSet<BufferId>,
}

/// Code beside the body of a lane loop.
pub struct Beside {
    pub tokens: TokenStream,
    /// What must hold for its lanes to be contiguous.
    pub contiguous: Vec<TokenStream>,
}

impl Emitter<'_> {
    /// The last lane loop of `steps`, if it writes past the caches and can run along with the lane loop that ends the
    /// step before, and that one computes more than it reads.
    pub fn late<'n>(
        &self,
        rows: Rows<'n>,
        steps: &[&'n [Node]],
        own: &BTreeSet<BufferId>,
    ) -> Option<Late<'n>> {
        let [.., earlier, last] = steps else { return None };
        let Node::Loop { axis: before, lanes: true, body: computes, .. } = earlier.last()? else {
            return None;
        };
        let (Node::Loop { axis, lanes: true, reductions, body }, between) = last.split_last()? else {
            return None;
        };
        let is_function = |node: &Node| {
            let Node::Compute { value, .. } = node else { return false };
            operation_cost(&self.kernel.values[*value].op) >= FUNCTION
        };
        let streamed = self.streamed();
        let stores = |node: &Node| matches!(node, Node::Store { tensor, .. } if streamed.contains(tensor));
        let only_reads = |node: &Node| {
            matches!(node, Node::Compute { keep: None, .. } | Node::Fetch { .. }) || stores(node)
        };
        let is_loop = |node: &Node| matches!(node, Node::Loop { .. });
        let fits = before == axis
            && reductions.is_empty()
            && computes.iter().any(is_function)
            && body.iter().all(only_reads)
            && body.iter().any(stores)
            && !between.iter().any(is_loop);
        if !fits {
            return None;
        }
        let pair = [&earlier[earlier.len() - 1..], &last[last.len() - 1..]];
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

    /// The rest of a row from `at` on, the row before's late loop in it.
    pub fn row_and_late(
        &self,
        steps: &Steps<'_>,
        late: &Late<'_>,
        at: usize,
    ) -> Result<TokenStream, Refusal> {
        let (rows, group) = (steps.rows, names::plain("group"));
        let last = rows.body.len() - 1;
        let is_loop = |node: &Node| matches!(node, Node::Loop { lanes: true, .. });
        let along = rows.body[..last].iter().rposition(is_loop).unwrap_or(last);
        let mut tokens = self.in_row(rows, at..along, &quote!(#group))?;
        let beside = self.beside(steps, late, self.lanes_of(rows, last, &quote!((#group + 1))))?;
        tokens.extend(self.node_in_row(rows, along, &quote!(#group), Some(beside))?);
        tokens.extend(self.in_row(rows, along + 1..last, &quote!(#group))?);
        let kept = late.values.iter().map(|value| {
            let (late, name) = (names::late(*value), names::value(*value));
            quote!(#late = #name;)
        });
        Ok(quote!(#tokens #(#kept)*))
    }

    /// A late loop's body, beside the loop of the row after its own.
    fn beside(&self, steps: &Steps<'_>, late: &Late<'_>, info: LaneLoop) -> Result<Beside, Refusal> {
        self.open.borrow_mut().extend([steps.rows.axis, late.axis]);
        let body = self.nodes(late.body, At::Lanes(late.axis, &info));
        let depth = self.open.borrow().len();
        self.open.borrow_mut().truncate(depth - 2);
        let (body, position) = (body?, names::position(steps.rows.axis));
        let names = self.late_names(steps, late, &quote!(#position - 1));
        Ok(Beside {
            tokens: quote!(if #position > 0 { #names #body }),
            contiguous: info.contiguous.into_inner(),
        })
    }

    /// What a late loop of row `at` reads, under the names that it has in its turn.
    fn late_names(&self, steps: &Steps<'_>, late: &Late<'_>, at: &TokenStream) -> TokenStream {
        let position = names::position(steps.rows.axis);
        let own = self.own_of(steps, &quote!(#position));
        let values = late.values.iter().map(|value| {
            let (name, late) = (names::value(*value), names::late(*value));
            quote!(let #name = #late;)
        });
        quote!(let #position = #at; #own #(#values)*)
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

    /// The late loop of the last row.
    pub fn last_late(&self, steps: &Steps<'_>, late: &Late<'_>) -> Result<TokenStream, Refusal> {
        let (extent, n_nodes) = (self.extent(steps.rows.axis), steps.rows.body.len());
        let names = self.late_names(steps, late, &quote!(#extent - 1));
        let tokens = self.in_row(steps.rows, n_nodes - 1..n_nodes, &quote!(1))?;
        Ok(quote!(if #extent > 0 { #names #tokens }))
    }
}
