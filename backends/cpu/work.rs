//! How much work a launch is: tables of what is done for which dimensions.

use super::Emitter;
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::{BTreeMap, BTreeSet};
use tilewright_compiler::ir::{AxisId, AxisKind, BinaryOp, Elem, Index, Op, Stmt, ValueId};
use tilewright_compiler::schedule::{Dot, Node, Operand, each_node, operation_cost};
use tilewright_compiler::walk::each_statement;

/// What is done for each combination of some axes' indices.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// As `Launch::cost` takes it.
    cost: u32,
    flops: u32,
    /// As many vector operations take as long.
    vectors: u32,
}

/// Axes of a value, or of the loops around it.
type Axes = BTreeSet<AxisId>;

impl Emitter<'_> {
    /// The table of what the kernel does, handed to the launch.
    pub fn work(&self) -> TokenStream {
        let private = &self.private;
        let schedule = self.schedule.to_string();
        let (volumes, accesses) = (self.volumes(), self.accesses());
        let mut products = Vec::new();
        each_node(&self.schedule.body, &mut |node| {
            if let Node::Dot(dot) = node {
                products.push(self.product(dot));
            }
        });
        let at_most = self.kernel.axes.iter().any(|(_, axis)| {
            matches!(
                axis.kind,
                AxisKind::Tile { begin: Some(_), .. }
                    | AxisKind::Tile { end: Some(_), .. }
                    | AxisKind::Each { begin: Some(_), .. }
                    | AxisKind::Each { end: Some(_), .. }
            )
        });
        quote! {
            static WORK: #private::Work = #private::Work {
                schedule: #schedule,
                volumes: &[#(#volumes),*],
                accesses: &[#(#accesses),*],
                products: &[#(#products),*],
                at_most: #at_most,
            };
            launch.work(&WORK);
        }
    }

    /// A space as the launch counts it: every index of the axes that are `own`, every block of the others.
    fn space(&self, own: &Axes, around: &Axes) -> TokenStream {
        let private = &self.private;
        let (mut dims, mut blocks, mut turns) = (Vec::new(), Vec::new(), 1.0);
        let blocked = self.blocked();
        for axis in own.union(around) {
            let number = blocked.iter().position(|of| of == axis);
            match (&self.kernel.axes[*axis].kind, number) {
                (AxisKind::Tile { dim, .. }, Some(number)) if !own.contains(axis) => {
                    let dim = dim.at();
                    blocks.push(quote!((#number, #dim)));
                }
                (AxisKind::Tile { dim, .. } | AxisKind::Each { dim, .. } | AxisKind::Whole { dim }, _) => {
                    dims.push(dim.at());
                }
                (AxisKind::Unroll { begin, end }, _) => turns *= f64::from(end.saturating_sub(*begin)),
            }
        }
        quote!(#private::Space { dims: &[#(#dims),*], blocks: &[#(#blocks),*], turns: #turns })
    }

    fn volumes(&self) -> Vec<TokenStream> {
        let private = &self.private;
        let mut volumes: BTreeMap<(Axes, Axes), Counts> = BTreeMap::new();
        let axes = |value: ValueId| self.kernel.values[value].ty.axes.iter();
        each_statement(&self.kernel.body, &mut |stmt, around| {
            let (own, counts): (Axes, Counts) = match stmt {
                Stmt::Let(value) => {
                    let op = &self.kernel.values[*value].op;
                    let of = op.reduction().map_or(*value, |(of, _)| of);
                    let own = match op.factors() {
                        Some((lhs, rhs)) => axes(lhs).chain(axes(rhs)).collect(),
                        None => axes(of).collect(),
                    };
                    (own, counts(op))
                }
                Stmt::Store { value, .. } => {
                    (axes(*value).collect(), Counts { cost: 4, flops: 0, vectors: 1 })
                }
                Stmt::Assign(var, _) => {
                    (self.kernel.vars[*var].ty.axes.iter().collect(), Counts { cost: 1, ..Counts::default() })
                }
                Stmt::For { .. } | Stmt::If { .. } | Stmt::Break | Stmt::Continue | Stmt::Assert { .. } => {
                    return;
                }
            };
            if !around.is_empty() {
                let sum = volumes.entry((own, around.iter().copied().collect())).or_default();
                sum.cost += counts.cost;
                sum.flops += counts.flops;
                sum.vectors += counts.vectors;
            }
        });
        let volume = |((own, around), counts): (&(Axes, Axes), &Counts)| {
            let space = self.space(own, around);
            let [cost, flops, vectors] = [counts.cost, counts.flops, counts.vectors].map(f64::from);
            quote!(#private::Volume { space: #space, cost: #cost, flops: #flops, vectors: #vectors })
        };
        volumes.iter().map(volume).collect()
    }

    fn accesses(&self) -> Vec<TokenStream> {
        let private = &self.private;
        let mut spaces: BTreeSet<(usize, bool, Axes, Axes)> = BTreeSet::new();
        let axes = |value: ValueId| self.kernel.values[value].ty.axes.iter();
        each_statement(&self.kernel.body, &mut |stmt, around| {
            let around: Axes = around.iter().copied().collect();
            match stmt {
                Stmt::Let(value) => {
                    if let Op::Load { tensor, .. } = &self.kernel.values[*value].op {
                        spaces.insert((self.tensor_number(*tensor), false, axes(*value).collect(), around));
                    }
                }
                Stmt::Store { tensor, value, .. } => {
                    spaces.insert((self.tensor_number(*tensor), true, axes(*value).collect(), around));
                }
                Stmt::Assign(..)
                | Stmt::For { .. }
                | Stmt::If { .. }
                | Stmt::Break
                | Stmt::Continue
                | Stmt::Assert { .. } => {}
            }
        });
        let access = |(tensor, written, own, around): &(usize, bool, Axes, Axes)| {
            let space = self.space(own, around);
            quote!(#private::Access { tensor: #tensor, written: #written, space: #space })
        };
        spaces.iter().map(access).collect()
    }

    fn product(&self, dot: &Dot) -> TokenStream {
        let private = &self.private;
        let axes = |value: ValueId| self.kernel.values[value].ty.axes.iter();
        let mut own: Axes = dot.layout().chain([dot.contracted]).collect();
        if let Some((lhs, rhs)) = self.kernel.values[dot.value].op.factors() {
            own.extend(axes(lhs).chain(axes(rhs)));
        }
        let mut outside = Axes::new();
        each_statement(&self.kernel.body, &mut |stmt, around| {
            if matches!(stmt, Stmt::Let(value) if *value == dot.value) {
                outside.extend(around);
            }
        });
        let space = self.space(&own, &outside);
        let sums = match self.elem(dot.value) {
            Elem::F64 => quote!(F64),
            Elem::I64 => quote!(I64),
            Elem::U32 => quote!(U32),
            Elem::I8 | Elem::U8 | Elem::I16 | Elem::U16 | Elem::I32 => quote!(I32),
            Elem::F32
            | Elem::F16
            | Elem::BF16
            | Elem::F8E4M3
            | Elem::F8E5M2
            | Elem::Bool
            | Elem::Param(_) => quote!(F32),
        };
        let (lhs, rhs) = (self.factor(&dot.lhs, dot.rows, dot), self.factor(&dot.rhs, dot.columns, dot));
        let extents = [dot.rows, dot.columns, Some(dot.contracted)].map(|axis| self.work_extent(axis));
        let [rows, columns, contracted] = extents;
        let is_packed = self.packs().iter().any(|pack| pack.value == dot.value);
        let shared = dot.rows.filter(|_| is_packed).and_then(|rows| self.kernel.axes[rows].kind.dim());
        let shared = match shared {
            Some(dim) => {
                let dim = dim.at();
                quote!(::core::option::Option::Some(#dim))
            }
            None => quote!(::core::option::Option::None),
        };
        quote!(#private::Product {
            space: #space, sums: #private::Kind::#sums, lhs: #lhs, rhs: #rhs,
            rows: #rows, columns: #columns, contracted: #contracted, shared: #shared })
    }

    fn work_extent(&self, axis: Option<AxisId>) -> TokenStream {
        let private = &self.private;
        let at = axis.and_then(|axis| self.blocked().iter().position(|blocked| *blocked == axis));
        let dim = axis.and_then(|axis| self.kernel.axes[axis].kind.dim());
        match (at, dim) {
            (Some(at), _) => quote!(#private::Extent::Block(#at)),
            (None, Some(dim)) => {
                let dim = dim.at();
                quote!(#private::Extent::Whole(#dim))
            }
            (None, None) => quote!(#private::Extent::One),
        }
    }

    fn factor(&self, operand: &Operand, free: Option<AxisId>, dot: &Dot) -> TokenStream {
        let private = &self.private;
        match operand {
            Operand::Buffer(buffer) => {
                let contiguous = self.schedule.buffers[buffer.0].axes.last() == Some(&dot.contracted);
                quote!(#private::Factor::Buffer { contiguous: #contiguous })
            }
            Operand::Tensor(value) => {
                let Op::Load { tensor, index, .. } = &self.kernel.values[*value].op else {
                    return quote!(#private::Factor::Buffer { contiguous: true });
                };
                let along = |axis: Option<AxisId>| -> Vec<usize> {
                    let is_along =
                        |index: &Index| matches!(index, Index::Axis { axis: of, .. } if Some(*of) == axis);
                    index.iter().enumerate().filter(|(_, index)| is_along(index)).map(|(d, _)| d).collect()
                };
                let (free, contracted) = (along(free), along(Some(dot.contracted)));
                let tensor = self.tensor_number(*tensor);
                quote!(#private::Factor::Tensor {
                    tensor: #tensor, free: &[#(#free),*], contracted: &[#(#contracted),*] })
            }
        }
    }
}

/// What computing an element costs.
fn counts(op: &Op) -> Counts {
    let vectors = operation_cost(op);
    match op {
        Op::Dot(..) => Counts { cost: 2, flops: 2, vectors: 0 },
        Op::Reduce(..) => Counts { cost: 1, flops: 1, vectors: 1 },
        Op::Fold(_) => Counts { cost: 8, flops: 1, vectors: 8 },
        Op::Unary(..) | Op::Call(..) | Op::Binary(BinaryOp::ExpSub | BinaryOp::Pow | BinaryOp::Div, ..) => {
            Counts { cost: 8, flops: 1, vectors }
        }
        Op::Load { .. } => Counts { cost: 4, flops: 0, vectors },
        Op::Binary(..) | Op::Compare(..) | Op::Select(..) => Counts { cost: 1, flops: 1, vectors },
        Op::Cast(_) => Counts { cost: 1, flops: 0, vectors: 0 },
        Op::Literal(_)
        | Op::Dim(_)
        | Op::Param(_)
        | Op::Const(_)
        | Op::Each(_)
        | Op::AxisIndex(_)
        | Op::AxisBegin(_)
        | Op::AxisEnd(_)
        | Op::AxisLen(_)
        | Op::Read(_)
        | Op::Broadcast(_) => Counts { cost: 1, flops: 0, vectors: 0 },
    }
}
