//! Loops over rows, and what the caches are asked for in them.

use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{AxisId, Index, Op, ParamId};
use tilewright_compiler::schedule::{Node, Reduction, Refusal, each_node};

/// A loop over rows: its axis, and what is done for each row.
#[derive(Clone, Copy)]
pub struct Rows<'n> {
    pub axis: AxisId,
    pub body: &'n [Node],
}

impl Emitter<'_> {
    pub fn row_loop(
        &self,
        axis: AxisId,
        reductions: &[Reduction],
        body: &[Node],
    ) -> Result<TokenStream, Refusal> {
        let rows = Rows { axis, body };
        if let Some(steps) = self.steps(rows, reductions) {
            let in_turn = self.rows_at_once(&steps)?;
            let Some(pipeline) = &steps.pipeline else { return Ok(in_turn) };
            let lengths = steps.lanes.iter().map(|axis| {
                let (begin, end) = (names::begin(*axis), names::end(*axis));
                quote!(#end - #begin)
            });
            let is_pipelined = self.is_pipelined(pipeline.overlap(), &lengths.collect::<Vec<_>>());
            let pipelined = self.pipelined(&steps, pipeline)?;
            return Ok(quote!(if #is_pipelined { #pipelined } else { #in_turn }));
        }
        let starts: Vec<_> = reductions.iter().map(|r| self.start(r, At::Scalar, 1)).collect();
        let (body, extent) = (self.in_row(rows, 0..body.len(), &quote!(1))?, self.extent(axis));
        let finishes = reductions.iter().map(|r| self.finish(r, At::Scalar, 1));
        let position = names::position(axis);
        Ok(quote! {
            #(#starts)*
            for #position in 0..#extent { #body }
            #(#finishes)*
        })
    }

    /// Some nodes of a row. `ahead`: how many rows further is the one that is not read yet.
    pub fn in_row(
        &self,
        rows: Rows<'_>,
        part: std::ops::Range<usize>,
        ahead: &TokenStream,
    ) -> Result<TokenStream, Refusal> {
        part.map(|at| self.node_in_row(rows, at, self.lanes_of(rows, at, ahead))).collect()
    }

    /// One of them; a lane loop with what is known of it.
    pub fn node_in_row(&self, rows: Rows<'_>, at: usize, lanes: LaneLoop) -> Result<TokenStream, Refusal> {
        self.open.borrow_mut().push(rows.axis);
        let tokens = self.node_with(&rows.body[at], lanes);
        self.open.borrow_mut().pop();
        tokens
    }

    fn node_with(&self, node: &Node, lanes: LaneLoop) -> Result<TokenStream, Refusal> {
        if let Node::Loop { axis, lanes: true, reductions, body } = node {
            return self.lane_loop(*axis, reductions, body, lanes);
        }
        if let Node::Shortcut { value, condition, known, otherwise } = node {
            let otherwise = self.node_with(otherwise, lanes)?;
            return Ok(self.shortcut(*value, [*condition, *known], &otherwise));
        }
        self.node(node, At::Scalar)
    }

    /// What the lane loop `rows.body[at]` knows of the rows: which tensors with such rows it reads before other loops
    /// or after others, as the last one.
    pub fn lanes_of(&self, rows: Rows<'_>, at: usize, ahead: &TokenStream) -> LaneLoop {
        let Rows { axis, body: nodes } = rows;
        let read = |nodes: &[Node]| -> Vec<ParamId> {
            self.rows_read(axis, nodes).into_iter().map(|(tensor, _)| tensor).collect()
        };
        let (before, after) = (read(&nodes[..at]), read(&nodes[at + 1..]));
        let here = read(&nodes[at..=at]);
        let (mut early, last): (Vec<_>, Vec<_>) = here.into_iter().partition(|tensor| after.contains(tensor));
        if stores_lanes(nodes) {
            // Reads and writes take turns anyway: the next row comes while this one is written.
            early.clear();
        }
        LaneLoop {
            early_reads: early,
            last_reads: last.into_iter().filter(|tensor| before.contains(tensor)).collect(),
            rows_ahead: ahead.clone(),
            ..LaneLoop::default()
        }
    }

    /// The tensors of which nodes read a row, and which dimension the rows are.
    pub fn rows_read(&self, rows: AxisId, nodes: &[Node]) -> Vec<(ParamId, usize)> {
        let is_row = |index: &Index| matches!(index, Index::Axis { axis, offset: None } if *axis == rows);
        let mut tensors = Vec::new();
        each_node(nodes, &mut |node| {
            if let Node::Compute { value, .. } = node
                && let Op::Load { tensor, index, .. } = &self.kernel.values[*value].op
                && let Some(dimension) = index.iter().position(is_row)
            {
                tensors.push((*tensor, dimension));
            }
        });
        tensors
    }
}

/// Whether a lane loop of a row stores to a tensor.
fn stores_lanes(row: &[Node]) -> bool {
    row.iter().any(|node| {
        let Node::Loop { lanes: true, body, .. } = node else { return false };
        body.iter().any(|node| matches!(node, Node::Store { .. }))
    })
}
