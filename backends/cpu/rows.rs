//! Loops over rows, and what the caches are asked for in them.

use super::one_pass::OnePass;
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
            let (far, in_turn) = (self.ahead_of_pass(steps.pass.as_ref()), self.rows_at_once(&steps)?);
            let in_turn = quote!(#far #in_turn);
            let Some(pipeline) = &steps.pipeline else { return Ok(in_turn) };
            let lengths = steps.lanes.iter().map(|axis| {
                let (begin, end) = (names::begin(*axis), names::end(*axis));
                quote!(#end - #begin)
            });
            let is_pipelined = self.is_pipelined(Some(pipeline.overlap()), &lengths.collect::<Vec<_>>());
            let pipelined = self.pipelined(&steps, pipeline)?;
            return Ok(quote!(if #is_pipelined { #pipelined } else { #in_turn }));
        }
        let starts: Vec<_> = reductions.iter().map(|r| self.start(r, At::Scalar, 1)).collect();
        let (pass, extent) = (self.one_pass(rows), self.extent(axis));
        let far = self.ahead_of_pass(pass.as_ref());
        let body = self.in_row(rows, pass.as_ref(), 0..body.len(), &quote!(1))?;
        let finishes = reductions.iter().map(|r| self.finish(r, At::Scalar, 1));
        let position = names::position(axis);
        Ok(quote! {
            #(#starts)*
            #far
            for #position in 0..#extent { #body }
            #(#finishes)*
        })
    }

    /// Some nodes of a row. `ahead`: how many rows further is the one that is not read yet.
    pub fn in_row(
        &self,
        rows: Rows<'_>,
        pass: Option<&OnePass<'_>>,
        part: std::ops::Range<usize>,
        ahead: &TokenStream,
    ) -> Result<TokenStream, Refusal> {
        let Some(pass) = pass else {
            return part.map(|at| self.node_in_row(rows, at, self.lanes_of(rows, at, ahead))).collect();
        };
        let node = |at| {
            if at == pass.max {
                return self.in_one_pass(rows, pass);
            }
            let after = if at == pass.max + 1 { self.after_one_pass(rows, pass, ahead)? } else { quote!() };
            if at == pass.sum {
                return Ok(after);
            }
            // The pass asked for the next row.
            let asked = if at > pass.max { tensors(&pass.reads) } else { Vec::new() };
            let lanes = LaneLoop { asked, ..self.lanes_of(rows, at, ahead) };
            let node = self.node_in_row(rows, at, lanes)?;
            Ok(quote!(#after #node))
        };
        part.map(node).collect()
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
        let read = |nodes: &[Node]| tensors(&self.rows_read(axis, nodes));
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
        let loads = self.loads(nodes).into_iter();
        let tensors = loads.filter_map(|(_, tensor, index)| {
            Some((tensor, index.iter().position(|index| is_bare(index, rows))?))
        });
        tensors.collect()
    }

    /// What nodes load, in their order: the values, of which tensors, and at which indices.
    fn loads(&self, nodes: &[Node]) -> Vec<(ValueId, ParamId, &[Index])> {
        let mut loads = Vec::new();
        each_node(nodes, &mut |node| {
            if let Node::Compute { value, .. } = node
                && let Op::Load { tensor, index, .. } = &self.kernel.values[*value].op
            {
                loads.push((*value, *tensor, &index[..]));
            }
        });
        loads
    }
}

/// The pieces that a lane loop reads of a row at once: the halves that a rotary embedding turns.
pub struct Pieces {
    pub tensor: ParamId,
    /// Which dimension the rows are.
    pub row_dimension: usize,
    /// Which one counts the pieces, by literals from 0 on.
    pub piece_dimension: usize,
    pub count: isize,
}

impl Emitter<'_> {
    /// Of which tensors a lane loop reads several pieces of a row, all in the same way.
    pub fn pieces(&self, rows: Option<AxisId>, lanes: AxisId, body: &[Node]) -> Vec<Pieces> {
        let Some(rows) = rows else { return Vec::new() };
        let mut loads: BTreeMap<ParamId, Vec<&[Index]>> = BTreeMap::new();
        for (_, tensor, index) in self.loads(body) {
            loads.entry(tensor).or_default().push(index);
        }
        let pieces = loads.into_iter().filter_map(|(tensor, loads)| {
            let first = loads[0];
            let dimension = first.len().checked_sub(2)?;
            let (before, after) = (&first[..dimension], &first[dimension + 1..]);
            let is_alike = |index: &&[Index]| {
                self.kernel.same_index(&index[..dimension], before)
                    && self.kernel.same_index(&index[dimension + 1..], after)
            };
            let numbers = loads.iter().map(|index| self.piece(&index[dimension]));
            let numbers: BTreeSet<isize> = numbers.collect::<Option<_>>()?;
            let count = numbers.len() as isize;
            let row_dimension = before.iter().position(|index| is_bare(index, rows))?;
            let fits = is_bare(&after[0], lanes)
                && count > 1
                && numbers.into_iter().eq(0..count)
                && loads.iter().all(is_alike);
            fits.then_some(Pieces { tensor, row_dimension, piece_dimension: dimension, count })
        });
        pieces.collect()
    }

    /// Before a lane loop of a row: what it asks for.
    pub fn ask_for_pieces(&self, pieces: &[Pieces], rows: Option<AxisId>, lanes: AxisId) -> TokenStream {
        let Some(rows) = rows else { return TokenStream::new() };
        let (private, rows, lanes) = (&self.private, self.extent(rows), self.extent(lanes));
        let next = pieces.iter().map(|Pieces { tensor, row_dimension, piece_dimension, count }| {
            let (next, view) = (names::next_row(*tensor), names::param(*tensor));
            let element = self.element(self.tensor(*tensor).0);
            quote! {
                let #next = #private::cpu::NextRow::in_pieces::<#element>(
                    (#rows, #view.strides[#row_dimension]),
                    (#lanes, #view.strides[#piece_dimension], #count),
                    <__S as #private::simd::Simd>::LANES,
                );
            }
        });
        quote!(#(#next)*)
    }

    /// The number that a literal index is.
    pub fn piece(&self, index: &Index) -> Option<isize> {
        let Index::Scalar(value) = index else { return None };
        let Op::Literal(Literal::Int(number)) = self.kernel.values[*value].op else { return None };
        isize::try_from(number).ok()
    }

    /// The pieces that lane loops read, in words.
    pub fn pieces_in_words(&self) -> String {
        let mut words = String::new();
        each_node(&self.schedule.body, &mut |node| {
            let Node::Loop { axis: rows, body, .. } = node else { return };
            for node in body {
                let Node::Loop { axis, lanes: true, body, .. } = node else { continue };
                for Pieces { tensor, count, .. } in self.pieces(Some(*rows), *axis, body) {
                    let (lanes, name) = (&self.kernel.axes[*axis].key, &self.kernel.params[tensor].name);
                    words += &format!(
                        "lanes {lanes}: {count} pieces of {name} at once; if they are a whole row and no other loop reads it, they ask for a row ahead line by line\n"
                    );
                }
            }
        });
        words
    }

    /// The loads of a lane loop that load what one before them does.
    pub fn repeats(&self, body: &[Node]) -> Vec<ValueId> {
        let (mut before, mut repeats): (Vec<ValueId>, Vec<ValueId>) = Default::default();
        for (value, ..) in self.loads(body) {
            let is_same = |other: &ValueId| self.kernel.same_value(value, *other);
            let list = if before.iter().any(is_same) { &mut repeats } else { &mut before };
            list.push(value);
        }
        repeats
    }
}

/// The tensors of which rows are read.
pub fn tensors(reads: &[(ParamId, usize)]) -> Vec<ParamId> {
    reads.iter().map(|(tensor, _)| *tensor).collect()
}

/// Whether an index is an axis as it is.
fn is_bare(index: &Index, of: AxisId) -> bool {
    matches!(index, Index::Axis { axis, offset: None } if *axis == of)
}

/// Whether a lane loop of a row stores to a tensor.
fn stores_lanes(row: &[Node]) -> bool {
    row.iter().any(|node| {
        let Node::Loop { lanes: true, body, .. } = node else { return false };
        body.iter().any(|node| matches!(node, Node::Store { .. }))
    })
}

#[cfg(test)]
mod tests {
    /// What a kernel that stores an expression becomes.
    fn emitted(expression: &str) -> String {
        let source = format!(
            "fn k<M, P, H>(x: &Tensor<f32, (M, P, H)>, y: &Tensor<f32, (M, H)>, w: &Tensor<f32, (P, H)>,
                           out: &mut Tensor<f32, (M, H)>) {{
                assert!(P == 2);
                for m in tile(M) {{ out[(m, ..)] = {expression}; }}
            }}"
        );
        let kernel = crate::cpu::tests::kernel(&source);
        crate::cpu::emit(&kernel, &syn::parse_quote!(::tilewright)).to_string()
    }

    /// How often it asks for a piece, and for nothing.
    fn asks(expression: &str) -> [usize; 2] {
        let tokens = emitted(expression);
        ["ask_for_piece", "ask_for_nothing"].map(|what| tokens.matches(what).count())
    }

    #[test]
    fn pieces_are_asked_for_by_rows_and_lanes() {
        let tokens = emitted("x[(m, 0, ..)] + x[(m, 1, ..)]").replace(' ', "");
        let (_, begin) = tokens.split_once("NextRow::in_pieces::<f32>").expect("it asks for pieces");
        // The rows of a block and their stride; the lanes, and the stride and number of pieces.
        let (rows, lanes) =
            ("(((t0-b0)asusize,p0.strides[0usize])", ",((t1-b1)asusize,p0.strides[1usize],2isize)");
        assert!(begin.starts_with(&format!("{rows}{lanes}")), "{}", &begin[..120]);
    }

    #[test]
    fn pieces_of_rows_ask_together_and_nothing_asks_twice() {
        let cases = [
            ("x[(m, 0, ..)] + x[(m, 1, ..)]", [2, 0]),
            ("x[(m, 0, ..)] + x[(m, 1, ..)] * y[(m, ..)]", [2, 1]),
            ("x[(m, 0, ..)] + x[(m, 1, ..)] * x[(m, 0, ..)]", [2, 1]),
            ("x[(m, 0, ..)] * x[(m, 0, ..)]", [0, 1]),
            ("x[(m, 1, ..)] * y[(m, ..)]", [0, 0]),
            // The same for each row: no pieces of one.
            ("y[(m, ..)] * w[(0, ..)] + w[(1, ..)]", [0, 0]),
        ];
        for (expression, wanted) in cases {
            assert_eq!(asks(expression), wanted, "{expression}");
        }
    }
}
