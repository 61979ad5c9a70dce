//! Loops over rows, and what the caches are asked for in them.

use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::{BTreeMap, BTreeSet};
use tilewright_compiler::ir::{AxisId, Index, Literal, Op, ParamId, ValueId};
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

/// The pieces that a lane loop reads of a row at once: the halves that a rotary embedding turns.
pub struct Pieces {
    pub tensor: ParamId,
    /// Which dimension counts them, by literals from 0 on.
    pub dimension: usize,
    pub count: isize,
}

impl Emitter<'_> {
    /// Of which tensors a lane loop reads several pieces, all in the same way.
    pub fn pieces(&self, lanes: AxisId, body: &[Node]) -> Vec<Pieces> {
        let mut loads: BTreeMap<ParamId, Vec<&[Index]>> = BTreeMap::new();
        each_node(body, &mut |node| {
            if let Node::Compute { value, .. } = node
                && let Op::Load { tensor, index, .. } = &self.kernel.values[*value].op
            {
                loads.entry(*tensor).or_default().push(index);
            }
        });
        let pieces = loads.into_iter().filter_map(|(tensor, loads)| {
            let first = loads[0];
            let dimension = first.len().checked_sub(2)?;
            let is_lanes =
                matches!(first[dimension + 1], Index::Axis { axis, offset: None } if axis == lanes);
            let is_alike = |index: &&[Index]| {
                self.kernel.same_index(&index[..dimension], &first[..dimension])
                    && self.kernel.same_index(&index[dimension + 1..], &first[dimension + 1..])
            };
            let numbers = loads.iter().map(|index| self.piece(&index[dimension]));
            let numbers: BTreeSet<isize> = numbers.collect::<Option<_>>()?;
            let count = numbers.len() as isize;
            let fits =
                is_lanes && count > 1 && numbers.into_iter().eq(0..count) && loads.iter().all(is_alike);
            fits.then_some(Pieces { tensor, dimension, count })
        });
        pieces.collect()
    }

    /// The pieces that lane loops read, in words.
    pub fn pieces_in_words(&self) -> String {
        let mut words = String::new();
        each_node(&self.schedule.body, &mut |node| {
            let Node::Loop { axis, lanes: true, body, .. } = node else { return };
            for Pieces { tensor, count, .. } in self.pieces(*axis, body) {
                let (lanes, name) = (&self.kernel.axes[*axis].key, &self.kernel.params[tensor].name);
                words += &format!(
                    "lanes {lanes}: {count} pieces of {name}, which ask for the next row line by line if they are all of it\n"
                );
            }
        });
        words
    }

    /// The loads of a lane loop that load what one before them does.
    pub fn repeats(&self, body: &[Node]) -> Vec<ValueId> {
        let (mut before, mut repeats): (Vec<ValueId>, Vec<ValueId>) = Default::default();
        each_node(body, &mut |node| {
            if let Node::Compute { value, .. } = node
                && let Op::Load { .. } = self.kernel.values[*value].op
            {
                let is_same = |other: &ValueId| self.kernel.same_value(*value, *other);
                let list = if before.iter().any(is_same) { &mut repeats } else { &mut before };
                list.push(*value);
            }
        });
        repeats
    }

    /// The number that a literal index is.
    pub fn piece(&self, index: &Index) -> Option<isize> {
        let Index::Scalar(value) = index else { return None };
        let Op::Literal(Literal::Int(number)) = self.kernel.values[*value].op else { return None };
        isize::try_from(number).ok()
    }
}

/// Whether a lane loop of a row stores to a tensor.
fn stores_lanes(row: &[Node]) -> bool {
    row.iter().any(|node| {
        let Node::Loop { lanes: true, body, .. } = node else { return false };
        body.iter().any(|node| matches!(node, Node::Store { .. }))
    })
}
