//! Block sizes when nobody says.

use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::collections::{BTreeMap, BTreeSet};
use tilewright_compiler::ir::{AxisId, AxisKind, Elem, ValueId};
use tilewright_compiler::schedule::{Dot, Node};

/// How the schedule uses axes.
#[derive(Default)]
struct Uses {
    rows: BTreeSet<AxisId>,
    /// With the rows of the product.
    columns: BTreeMap<AxisId, Option<AxisId>>,
    /// With the rows of the product.
    contracted: BTreeMap<AxisId, Option<AxisId>>,
    /// Whether products are of floats.
    of_floats: bool,
    lanes: BTreeSet<AxisId>,
}

impl Uses {
    fn visit(&mut self, nodes: &[Node], is_float: &dyn Fn(ValueId) -> bool) {
        for node in nodes {
            match node {
                Node::Dot(Dot { value, rows, columns, contracted, .. }) => {
                    self.rows.extend(rows);
                    self.columns.extend(columns.map(|columns| (columns, *rows)));
                    self.contracted.insert(*contracted, *rows);
                    self.of_floats |= is_float(*value);
                }
                Node::Loop { axis, lanes, body, .. } => {
                    if *lanes {
                        self.lanes.insert(*axis);
                    }
                    self.visit(body, is_float);
                }
                Node::Sequential { body, .. } | Node::Copy { body, .. } => self.visit(body, is_float),
                Node::Shortcut { otherwise, .. } => self.visit(std::slice::from_ref(otherwise), is_float),
                Node::If { then: first, otherwise: second, .. }
                | Node::Sum { body: first, clear: second, .. } => {
                    self.visit(first, is_float);
                    self.visit(second, is_float);
                }
                Node::Compute { .. }
                | Node::Keep { .. }
                | Node::Fetch { .. }
                | Node::Accumulate { .. }
                | Node::Assign { .. }
                | Node::Store { .. }
                | Node::Break
                | Node::Continue => {}
            }
        }
    }
}

impl Emitter<'_> {
    /// The blocked axes in the order of `Meta::axes`.
    pub fn blocked(&self) -> Vec<AxisId> {
        let is_tile = |kind: &AxisKind| matches!(kind, AxisKind::Tile { .. });
        self.kernel.axes.iter().filter(|(_, axis)| is_tile(&axis.kind)).map(|(id, _)| id).collect()
    }

    /// `let k0 = …;` for each blocked axis.
    pub fn blocks(&self) -> TokenStream {
        let mut uses = Uses::default();
        uses.visit(&self.schedule.body, &|value| self.elem(value) == Elem::F32);
        let blocked = self.blocked();
        let mut tokens = TokenStream::new();
        // Lane axes first: how many rows a program has depends on them.
        let mut order: Vec<usize> = (0..blocked.len()).collect();
        order.sort_by_key(|at| (!uses.lanes.contains(&blocked[*at]), std::cmp::Reverse(*at)));
        let mut known: Vec<AxisId> = Vec::new();
        for at in order {
            let axis = blocked[at];
            let heuristic = self.heuristic(axis, &uses, &known);
            known.push(axis);
            let name = names::block(axis);
            let Some(dim) = self.kernel.axes[axis].kind.dim() else { continue };
            let dim = dim.at();
            tokens.extend(quote!(let #name = #heuristic; let #name = launch.block(#at, #dim, #name);));
        }
        tokens
    }

    fn heuristic(&self, axis: AxisId, uses: &Uses, known: &[AxisId]) -> TokenStream {
        let private = &self.private;
        let (info, of_floats) = (&self.kernel.axes[axis], uses.of_floats);
        if let Some(rows) = uses.columns.get(&axis) {
            // A loop over columns keeps what it carries: the fewer turns the better.
            return match info.kind.dim().filter(|_| info.grid) {
                Some(dim) => {
                    let rows = rows.and_then(|rows| self.kernel.axes[rows].kind.dim());
                    let (dim, rows) = (
                        names::dim(dim),
                        rows.map_or_else(|| quote!(1), |rows| names::dim(rows).to_token_stream()),
                    );
                    quote!(#private::cpu::columns((launch.isa(), #of_floats), #dim, #rows, launch.threads()?))
                }
                None => match info.kind.dim() {
                    Some(dim) => {
                        let dim = names::dim(dim);
                        quote!(#private::cpu::columns_in_turn(launch.isa(), #dim))
                    }
                    None => quote!(384),
                },
            };
        }
        if let Some(rows) = uses.contracted.get(&axis) {
            let rows = rows.and_then(|rows| self.kernel.axes[rows].kind.dim());
            let rows = rows.map_or_else(|| quote!(1), |rows| names::dim(rows).to_token_stream());
            return quote!(#private::cpu::depth(#rows));
        }
        if uses.rows.contains(&axis) {
            return match info.kind.dim() {
                Some(dim) => {
                    let dim = names::dim(dim);
                    // One product a program, or several whose results are used in turn.
                    let mut columns = uses.columns.iter().filter(|(_, rows)| **rows == Some(axis));
                    let single = columns.next().filter(|_| columns.next().is_none());
                    let single =
                        single.map(|(columns, _)| &self.kernel.axes[*columns]).filter(|columns| columns.grid);
                    match single.and_then(|columns| columns.kind.dim()) {
                        Some(columns) => {
                            let columns = names::dim(columns);
                            quote!(#private::cpu::rows((launch.isa(), #of_floats), #dim, #columns, launch.threads()?))
                        }
                        None => quote!(#private::cpu::few_rows(#dim, launch.threads()?)),
                    }
                }
                None => quote!(96),
            };
        }
        if uses.lanes.contains(&axis) {
            return quote!(4096);
        }
        if !info.grid {
            return quote!(64);
        }
        let whole = self.kernel.axes.iter().filter_map(|(_, axis)| match axis.kind {
            AxisKind::Whole { dim } => Some(names::dim(dim)),
            AxisKind::Tile { .. } | AxisKind::Each { .. } | AxisKind::Unroll { .. } => None,
        });
        let known = known.iter().map(|axis| names::block(*axis));
        let row = quote!(&[#(#whole,)* #(#known,)*]);
        let pipeline = self.pipelines().into_iter().find(|rows| rows.axis == axis);
        match info.kind.dim().zip(pipeline) {
            Some((dim, rows)) => {
                let lengths = rows.lanes.iter().filter_map(|lanes| match self.kernel.axes[*lanes].kind {
                    AxisKind::Whole { dim } => Some(names::dim(dim).to_token_stream()),
                    AxisKind::Tile { .. } | AxisKind::Each { .. } | AxisKind::Unroll { .. } => None,
                });
                let is_pipelined = self.is_pipelined(rows.overlap, &lengths.collect::<Vec<_>>());
                let dim = names::dim(dim);
                quote!(if #is_pipelined {
                    #private::cpu::per_program_of_pipelined_rows(#dim, #row, launch.threads()?)
                } else {
                    #private::cpu::per_program(#row)
                })
            }
            None => quote!(#private::cpu::per_program(#row)),
        }
    }
}
