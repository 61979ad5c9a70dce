//! Rows in a pipeline: loops of neighbouring rows that run as one.
//!
//! A softmax reads a row, computes on it in the caches, and writes it. Done one after the other, memory idles while
//! exponentials are computed; then the processor waits for a whole row of results to leave, and for the next row to
//! come. So each vector of a row's exponentials goes with a vector of results of the row before, which leave, and with
//! a vector of the row after, which comes:
//!
//! ```text
//! for each m                                lanes N: v1 = max of x of the first m
//!   lanes N: v1 = max of x                  for each m
//!   lanes N: b0 = exp(x - v1), v4 = sum       lanes N: store out[m - 1] = b0 / v4 of m - 1,
//!   lanes N: store out = b0 / v4                       v1 of m + 1 = max of x[m + 1],
//!                                                      b0 = exp(x - v1), v4 = sum
//!                                           lanes N: store out = b0 / v4, of the last m
//! ```

use super::early::Early;
use super::late::Late;
use super::rows::{Rows, tensors};
use super::steps::Steps;
use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeSet;
use tilewright_compiler::ir::AxisId;
use tilewright_compiler::schedule::{BufferId, Node, Refusal, operation_cost};

/// What an operation costs that takes as long as a vector takes to memory: an exponential.
const FUNCTION: u32 = 20;

/// The loops of a row that run along with those of its neighbours.
pub struct Pipeline<'n> {
    /// Which node of a row is the lane loop that others run along with: one that computes more than it reads.
    pub along: usize,
    /// The first lane loop, of the row after.
    pub early: Option<Early<'n>>,
    /// The last lane loop, of the row before.
    pub late: Option<Late<'n>>,
}

/// Which loops of a row run along with those of its neighbours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// The first one.
    Early,
    /// The last one.
    Late,
    Both,
}

/// Rows that may go through a pipeline.
pub struct PipelinedRows {
    pub axis: AxisId,
    /// The axes of its lane loops.
    pub lanes: BTreeSet<AxisId>,
    /// None if one pass reads them instead (`one_pass.rs`), which is ahead in them as well.
    pub overlap: Option<Overlap>,
}

impl Pipeline<'_> {
    pub fn overlap(&self) -> Overlap {
        match (&self.early, &self.late) {
            (_, None) => Overlap::Early,
            (None, Some(_)) => Overlap::Late,
            (Some(_), Some(_)) => Overlap::Both,
        }
    }
}

/// Code beside the body of a lane loop.
#[derive(Default)]
pub struct Beside {
    pub tokens: TokenStream,
    /// What must hold for its lanes to be contiguous.
    pub contiguous: Vec<TokenStream>,
    /// Whether it writes past the caches: evenly is faster than four vectors at once (softmax, 1.3 times).
    pub writes: bool,
}

impl Emitter<'_> {
    /// The pipeline of rows whose first lane loop that reduces is node `first`.
    pub fn pipeline<'n>(
        &self,
        rows: Rows<'n>,
        first: usize,
        own: &BTreeSet<BufferId>,
    ) -> Option<Pipeline<'n>> {
        let computes = |node: &Node| {
            let Node::Loop { lanes: true, body, .. } = node else { return false };
            body.iter().any(|node| self.is_function(node))
        };
        let loops: Vec<usize> = (0..rows.body.len())
            .filter(|at| matches!(rows.body[*at], Node::Loop { lanes: true, .. }))
            .collect();
        let [.., before, last] = loops[..] else { return None };
        let late = computes(&rows.body[before]).then(|| self.late(rows, before, own)).flatten();
        let along = if late.is_some() { before } else { last };
        let early = computes(&rows.body[along]).then(|| self.early(rows, first, along)).flatten();
        (early.is_some() || late.is_some()).then_some(Pipeline { along, early, late })
    }

    /// Whether a node computes a function.
    pub fn is_function(&self, node: &Node) -> bool {
        let Node::Compute { value, .. } = node else { return false };
        operation_cost(&self.kernel.values[*value].op) >= FUNCTION
    }

    /// When rows of such `lengths` go through their pipeline, or are worth to be ahead in one pass: those with a late loop
    /// if it writes past the caches.
    pub fn is_pipelined(&self, overlap: Option<Overlap>, lengths: &[TokenStream]) -> TokenStream {
        let (private, stream) = (&self.private, names::plain("stream"));
        match overlap {
            None | Some(Overlap::Early) => {
                quote!((#stream.heavy || #private::cpu::are_long(&[#(#lengths),*])))
            }
            Some(Overlap::Late | Overlap::Both) => quote!(#stream.heavy),
        }
    }

    /// Rows in their pipeline.
    pub fn pipelined(&self, steps: &Steps<'_>, pipeline: &Pipeline<'_>) -> Result<TokenStream, Refusal> {
        let Pipeline { along, early, late } = pipeline;
        let Rows { axis, body } = steps.rows;
        let (position, extent) = (names::position(axis), self.extent(axis));
        let own = self.own_of_pipeline(steps, pipeline, &quote!(#position));
        let n_nodes = body.len() - usize::from(late.is_some());
        let mut row = TokenStream::new();
        for at in 0..n_nodes {
            let lanes = self.lanes_of(steps.rows, at, &quote!(1));
            if let Some(early) = early.as_ref().filter(|early| early.at == at) {
                row.extend(self.early_values(early));
            } else if at == *along {
                let (mut beside, mut asked) = (Beside::default(), Vec::new());
                if let Some(late) = late {
                    beside = self.beside_late(steps, pipeline, late)?;
                }
                let (mut starts, mut finishes) = Default::default();
                if let Some(early) = early {
                    let next = self.beside_early(steps.rows, early)?;
                    beside.tokens.extend(next.beside.tokens);
                    beside.contiguous.extend(next.beside.contiguous);
                    (starts, finishes, asked) = (next.starts, next.finishes, tensors(&early.reads));
                }
                let lanes = LaneLoop { beside, asked, ..lanes };
                let tokens = self.node_in_row(steps.rows, at, lanes)?;
                row.extend(quote!(#starts #tokens #finishes));
            } else {
                row.extend(self.node_in_row(steps.rows, at, lanes)?);
            }
        }
        let (mut begin, mut end, mut kept) = Default::default();
        if let Some(early) = early {
            begin = self.first_early(steps.rows, early, late.is_some())?;
        }
        if let Some(late) = late {
            let all = self.all_rows(steps);
            begin = quote!(#begin #all);
            begin.extend(self.late_variables(late));
            end = self.last_late(steps, pipeline, late)?;
            kept = self.keep_late(late);
        }
        Ok(quote! {
            #begin
            for #position in 0..#extent { #own #row #kept }
            #end
        })
    }

    /// The body of a lane loop of a neighbouring row, beside another one.
    pub fn body_beside(&self, rows: AxisId, body: &[Node], at: At<'_>) -> Result<TokenStream, Refusal> {
        let depth = self.open.borrow().len();
        let lanes = if let At::Lanes(lanes, _) = at { Some(lanes) } else { None };
        self.open.borrow_mut().extend([rows].into_iter().chain(lanes));
        let tokens = self.nodes(body, at);
        self.open.borrow_mut().truncate(depth);
        tokens
    }

    /// The row `at` of each buffer for one row. A late loop reads those of the row before.
    pub fn own_of_pipeline(
        &self,
        steps: &Steps<'_>,
        pipeline: &Pipeline<'_>,
        at: &TokenStream,
    ) -> TokenStream {
        let Some(late) = &pipeline.late else { return TokenStream::new() };
        let many = steps.own.iter().filter(|buffer| !late.passed.contains(buffer));
        self.own_rows(many, &quote!((#at % 2)))
    }
}
