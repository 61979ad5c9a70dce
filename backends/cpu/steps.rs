//! Loops over a few rows at once, step by step.
//!
//! A row of a softmax is read for its maximum, read again for its exponentials and their sum, then divided. Each step
//! waits for the last one's reduction, about as long as it takes for a short row. So a few rows take the first step,
//! then the second: a row's reductions end while others are read.
//!
//! ```text
//! for each m                        for a few m
//!   lanes N: v1 = max of x            for each of them
//!   lanes N: v3 = …, v4 = sum           lanes N: v1 = max of x
//!   lanes N: store out = v3 / v4      for each of them
//!                                       lanes N: v3 = …, v4 = sum
//!                                     for each of them …
//! ```

use super::one_pass::OnePass;
use super::pipeline::{Overlap, Pipeline, PipelinedRows};
use super::rows::Rows;
use super::values::At;
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use tilewright_compiler::ir::{AxisId, Index, Op, ParamId, ValueId};
use tilewright_compiler::schedule::{BufferId, Node, Operand, Reduction, Refusal, each_node, operands};

/// How many rows take steps together, at most.
pub const MOST_ROWS: usize = 4;

/// A loop over rows whose steps a few rows take together.
pub struct Steps<'n> {
    pub rows: Rows<'n>,
    steps: Vec<&'n [Node]>,
    /// The axes of its lane loops.
    pub lanes: BTreeSet<AxisId>,
    /// Buffers for one row: each of the rows has its own.
    pub own: BTreeSet<BufferId>,
    /// The two of its loops that one pass may do for.
    pub pass: Option<OnePass<'n>>,
    /// How rows that are long or written past the caches run instead.
    pub pipeline: Option<Pipeline<'n>>,
}

impl Emitter<'_> {
    pub fn rows_at_once(&self, steps: &Steps<'_>) -> Result<TokenStream, Refusal> {
        let rows = steps.rows;
        let (extent, n_rows) = (self.extent(rows.axis), self.n_rows(steps));
        let [group, first, count] = ["group", "first", "count"].map(names::plain);
        let all = self.all_rows(steps);
        let mut known = BTreeSet::new();
        let (mut loops, mut at) = (TokenStream::new(), 0);
        for step in &steps.steps {
            let part = at..at + step.len();
            at = part.end;
            let tokens = self.in_row(rows, steps.pass.as_ref(), part.clone(), &quote!(#group))?;
            loops.extend(self.each_row(steps, part, &tokens, &mut known));
        }
        let arrays = known.iter().map(|value| {
            let (all, ty) = (names::of_rows(*value), self.ty(self.elem(*value), At::Scalar));
            let zero = self.zero(self.elem(*value));
            quote!(let mut #all: [#ty; #MOST_ROWS] = [#zero; #MOST_ROWS];)
        });
        Ok(quote! {
            let #group = #n_rows;
            #all
            #(#arrays)*
            let mut #first = 0;
            while #first < #extent {
                let #count = ::core::cmp::Ord::min(#group, #extent - #first);
                #loops
                #first += #count;
            }
        })
    }

    /// A part of each of a few rows. `known`: the values that parts hand to those after them.
    fn each_row(
        &self,
        steps: &Steps<'_>,
        part: Range<usize>,
        tokens: &TokenStream,
        known: &mut BTreeSet<ValueId>,
    ) -> TokenStream {
        let Rows { axis, body } = steps.rows;
        let position = names::position(axis);
        let [first, count, row] = ["first", "count", "row"].map(names::plain);
        let own = self.own_rows(steps.own.iter(), &quote!((#position - #first)));
        let (mut used, used_later) = (self.used(&body[part.clone()]), self.used(&body[part.end..]));
        let mut found = defined(&body[part.clone()]);
        if let Some(pass) = &steps.pass {
            // The pass finds both values. The step after it settles them, which may take the loop of the sum.
            if part.start == pass.max + 1 {
                used.extend(self.used(&body[pass.sum..=pass.sum]));
            }
            if part.contains(&pass.max) || part.start == pass.max + 1 {
                found.extend(pass.values());
            }
        }
        let fetched = known.iter().filter(|value| used.contains(value)).map(|value| {
            let (name, all) = (names::value(*value), names::of_rows(*value));
            quote!(let #name = #all[#row];)
        });
        let fetched: Vec<_> = fetched.collect();
        let defined: BTreeSet<_> = found.into_iter().filter(|value| used_later.contains(value)).collect();
        let kept = defined.iter().map(|value| {
            let (name, all) = (names::value(*value), names::of_rows(*value));
            quote!(#all[#row] = #name;)
        });
        let tokens = quote! {
            for #row in 0..#count {
                let #position = #first + #row;
                #own
                #(#fetched)*
                #tokens
                #(#kept)*
            }
        };
        known.extend(defined);
        tokens
    }

    /// The buffers for one row, of all rows that have their own.
    pub fn all_rows(&self, steps: &Steps<'_>) -> TokenStream {
        let all = steps.own.iter().map(|buffer| {
            let (all, buffer) = (names::of_all_rows(*buffer), names::buffer(*buffer));
            quote!(let #all = #buffer;)
        });
        quote!(#(#all)*)
    }

    /// Of buffers for one row those of the row `at`.
    pub fn own_rows<'b>(&self, buffers: impl Iterator<Item = &'b BufferId>, at: &TokenStream) -> TokenStream {
        let own = buffers.map(|buffer| {
            let (name, all) = (names::buffer(*buffer), names::of_all_rows(*buffer));
            let rooms = self.schedule.buffers[buffer.0].axes.iter().map(|axis| names::room(*axis));
            quote!(let #name = #all.add(#at * (1 #(* #rooms)*));)
        });
        quote!(#(#own)*)
    }

    /// How many rows take steps together.
    fn n_rows(&self, steps: &Steps<'_>) -> TokenStream {
        let private = &self.private;
        let is_lanes = |node: &&Node| matches!(node, Node::Loop { lanes: true, .. } | Node::Shortcut { .. });
        if steps.pass.is_some() && steps.rows.body.iter().filter(is_lanes).count() == 2 {
            // The pass reads them, and few are read again.
            return quote!(#MOST_ROWS);
        }
        let rooms = steps.lanes.iter().map(|axis| names::room(*axis));
        quote!(#private::cpu::rows_at_once(#MOST_ROWS, &[#(#rooms),*]))
    }

    /// The loops whose rows take steps together.
    pub fn rows_in_steps(&self) -> Vec<AxisId> {
        self.row_loops().into_iter().map(|steps| steps.rows.axis).collect()
    }

    /// Those whose rows may go through a pipeline, or be read once.
    pub fn pipelines(&self) -> Vec<PipelinedRows> {
        let loops = self.row_loops().into_iter();
        let pipelines = loops.filter_map(|steps| {
            let overlap = steps.pipeline.map(|pipeline| pipeline.overlap());
            let is_ahead = overlap.is_some() || steps.pass.is_some();
            is_ahead.then_some(PipelinedRows { axis: steps.rows.axis, lanes: steps.lanes, overlap })
        });
        pipelines.collect()
    }

    fn row_loops(&self) -> Vec<Steps<'_>> {
        let mut loops = Vec::new();
        each_node(&self.schedule.body, &mut |node| {
            if let Node::Loop { axis, lanes: false, reductions, body } = node {
                let rows = Rows { axis: *axis, body };
                loops.extend(self.steps(rows, reductions));
            }
        });
        loops
    }

    /// How many rows there are in a buffer for one row, if a few take steps together.
    pub fn copies(&self, buffer: BufferId) -> Option<TokenStream> {
        let steps = self.row_loops().into_iter().find(|steps| steps.own.contains(&buffer))?;
        let n_rows = self.n_rows(&steps);
        let has_late = steps.pipeline.is_some_and(|pipeline| pipeline.overlap() != Overlap::Early);
        Some(if has_late { quote!(::core::cmp::Ord::max(#n_rows, 2)) } else { n_rows })
    }

    /// The steps of a row, if there are several and rows do not depend on one another: a step ends with a lane loop
    /// that reduces, and a reduction that may be known without its loop is one.
    pub fn steps<'n>(&self, rows: Rows<'n>, reductions: &[Reduction]) -> Option<Steps<'n>> {
        let Rows { axis, body } = rows;
        let (mut ends, mut lanes) = (Vec::new(), BTreeSet::new());
        let (mut n_lane_loops, mut first) = (0, None);
        for (at, node) in body.iter().enumerate() {
            match node {
                Node::Loop { axis, lanes: true, reductions, body: inner } => {
                    let is_flat = !inner.iter().any(|node| matches!(node, Node::Loop { .. }));
                    // State in buffers is cleared where it begins, which depends on the loops around.
                    if !is_flat || reductions.iter().any(|reduction| reduction.state.is_some()) {
                        return None;
                    }
                    lanes.insert(*axis);
                    n_lane_loops += 1;
                    first = first.or((!reductions.is_empty()).then_some(at));
                    if !reductions.is_empty() && at + 1 < body.len() {
                        ends.push(at + 1);
                    }
                }
                // What it takes belongs to the step before; it is a step of its own, of rows that need its loop.
                Node::Shortcut { .. } => {
                    n_lane_loops += 1;
                    if let Some(end) = ends.last_mut() {
                        *end = at;
                    }
                    if at + 1 < body.len() {
                        ends.push(at + 1);
                    }
                }
                Node::Compute { .. }
                | Node::Keep { .. }
                | Node::Fetch { .. }
                | Node::Assign { .. }
                | Node::Store { .. } => {}
                Node::Accumulate { .. }
                | Node::Loop { .. }
                | Node::Dot(_)
                | Node::Sequential { .. }
                | Node::If { .. }
                | Node::Sum { .. }
                | Node::Copy { .. }
                | Node::Break
                | Node::Continue => return None,
            }
        }
        let pass = self.one_pass(rows);
        if let Some(pass) = &pass {
            // Its step has the sum too; what follows of it is a step, so that lane loops need not wait for that.
            let is_lanes = |at: &usize| matches!(body[*at], Node::Loop { lanes: true, .. });
            let next = (pass.sum + 1..body.len()).find(is_lanes);
            ends.retain(|end| *end != pass.sum + 1);
            ends.extend(next);
            ends.sort_unstable();
            ends.dedup();
        }
        let begins = [0].into_iter().chain(ends.iter().copied());
        let steps: Vec<_> = begins
            .zip(ends.iter().copied().chain([body.len()]))
            .map(|(begin, end)| &body[begin..end])
            .collect();
        let own = self.own_buffers(axis, body)?;
        let is_worth_it = steps.len() > 1 && n_lane_loops > 1 && reductions.is_empty();
        (is_worth_it && self.stores_are_apart(&steps)).then(|| {
            let pipeline = first.and_then(|first| self.pipeline(rows, first, &own));
            // A row that is read once needs no other to be read ahead.
            let pipeline = pipeline.filter(|pipeline| pass.is_none() || pipeline.late.is_some());
            Steps { rows, steps, lanes, own, pipeline, pass }
        })
    }

    /// The buffers that a row fills and that have no place for others; `None` if one outlives the row.
    fn own_buffers(&self, axis: AxisId, body: &[Node]) -> Option<BTreeSet<BufferId>> {
        let has_rows = |buffer: BufferId| self.schedule.buffers[buffer.0].axes.contains(&axis);
        let is_variable = |buffer: BufferId| self.schedule.variables.contains(&Some(buffer));
        let mut own = BTreeSet::new();
        let mut is_refused = false;
        each_node(body, &mut |node| {
            if let Node::Assign { var, .. } = node {
                is_refused |= self.schedule.variables[var.at()].is_none_or(|buffer| !has_rows(buffer));
            }
            own.extend(self.touched(node).into_iter().filter(|buffer| !has_rows(*buffer)));
        });
        let n_touches = |nodes: &[Node]| self.n_touches(nodes, &|buffer| own.contains(&buffer));
        is_refused |= n_touches(body) != n_touches(&self.schedule.body);
        is_refused |= own.iter().any(|buffer| {
            let is_index = self.schedule.buffers[buffer.0].extreme_of.is_some();
            is_variable(*buffer) || is_index || self.output(*buffer).is_some()
        });
        (!is_refused).then_some(own)
    }

    /// How often nodes read or write some buffers.
    pub fn n_touches(&self, nodes: &[Node], which: &dyn Fn(BufferId) -> bool) -> usize {
        let mut count = 0;
        each_node(nodes, &mut |node| {
            count += self.touched(node).into_iter().filter(|buffer| which(*buffer)).count();
        });
        count
    }

    /// The buffers that a node itself reads or writes.
    fn touched(&self, node: &Node) -> Vec<BufferId> {
        let variable = |value: ValueId| {
            let Op::Read(var) = self.kernel.values[value].op else { return None };
            self.schedule.variables[var.at()]
        };
        match node {
            Node::Compute { value, keep } => keep.iter().copied().chain(variable(*value)).collect(),
            Node::Keep { buffer, .. } | Node::Fetch { buffer, .. } | Node::Copy { buffer, .. } => {
                vec![*buffer]
            }
            Node::Accumulate { state, .. } => state.iter().copied().collect(),
            Node::Assign { var, .. } => self.schedule.variables[var.at()].into_iter().collect(),
            Node::Loop { reductions, .. } => {
                reductions.iter().flat_map(|reduction| [reduction.state, reduction.keep]).flatten().collect()
            }
            Node::Dot(dot) => {
                let sides = [&dot.lhs, &dot.rhs].into_iter().filter_map(|side| match side {
                    Operand::Buffer(buffer) => Some(*buffer),
                    Operand::Tensor(_) => None,
                });
                sides.chain([dot.into]).collect()
            }
            Node::Sum { into, .. } => vec![*into],
            Node::Store { .. }
            | Node::Sequential { .. }
            | Node::Shortcut { .. }
            | Node::If { .. }
            | Node::Break
            | Node::Continue => Vec::new(),
        }
    }

    /// Whether each tensor that is written is written in one step only, and not read.
    fn stores_are_apart(&self, steps: &[&[Node]]) -> bool {
        let mut written: HashSet<ParamId> = HashSet::new();
        let mut read: HashSet<ParamId> = HashSet::new();
        let mut are_apart = true;
        for step in steps {
            let mut here = HashSet::new();
            each_node(step, &mut |node| {
                if let Node::Store { tensor, .. } = node {
                    here.insert(*tensor);
                }
                if let Node::Compute { value, .. } = node
                    && let Op::Load { tensor, .. } = self.kernel.values[*value].op
                {
                    read.insert(tensor);
                }
            });
            are_apart &= here.iter().all(|tensor| !written.contains(tensor));
            written.extend(here);
        }
        are_apart && written.iter().all(|tensor| !read.contains(tensor))
    }

    /// The values that nodes name.
    pub fn used(&self, nodes: &[Node]) -> HashSet<ValueId> {
        let mut used = HashSet::new();
        let mut add = |value: ValueId| {
            used.insert(value);
            used.extend(operands(self.kernel, value));
        };
        each_node(nodes, &mut |node| match node {
            Node::Compute { value, .. }
            | Node::Keep { value, .. }
            | Node::Fetch { value, .. }
            | Node::Accumulate { value, .. }
            | Node::Assign { value, .. } => add(*value),
            Node::Store { index, value, .. } => {
                index.iter().filter_map(Index::value).chain([*value]).for_each(&mut add);
            }
            Node::Loop { reductions, .. } => reductions.iter().for_each(|reduction| add(reduction.value)),
            Node::Shortcut { value, condition, known, otherwise: _ } => {
                [value, condition, known].into_iter().for_each(|value| add(*value));
            }
            Node::Dot(_)
            | Node::Sum { .. }
            | Node::Copy { .. }
            | Node::Sequential { .. }
            | Node::If { .. }
            | Node::Break
            | Node::Continue => {}
        });
        used
    }
}

/// The values that nodes of a row define for those after them.
pub fn defined(nodes: &[Node]) -> Vec<ValueId> {
    let mut values = Vec::new();
    for node in nodes {
        if let Node::Compute { value, .. } | Node::Fetch { value, .. } = node {
            values.push(*value);
        }
        if let Node::Shortcut { value, .. } = node {
            values.push(*value);
        }
        if let Node::Loop { reductions, .. } = node {
            values.extend(reductions.iter().map(|reduction| reduction.value));
        }
    }
    values
}
