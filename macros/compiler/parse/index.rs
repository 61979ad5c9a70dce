//! Indices, loads and stores.

use super::convert::Operand;
use super::{Lowering, Thing};
use crate::ir::{
    AxisId, AxisKind, AxisSet, BinaryOp, DimId, Elem, Index, Op, ParamId, ParamKind, Stmt, Type, UnaryOp,
    ValueId,
};
use proc_macro2::Span;
use syn::spanned::Spanned;

const ORDINALS: [&str; 8] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];

impl Lowering<'_> {
    /// `x[(m, ..)]`.
    pub(crate) fn load_expr(&mut self, index: &syn::ExprIndex) -> Thing {
        match self.tensor_expr(&index.expr) {
            Some(tensor) => self.load(tensor, &index.index, None, index.expr.span()),
            None => Thing::Poison,
        }
    }

    /// An expression that names a tensor.
    pub(crate) fn tensor_expr(&mut self, expr: &syn::Expr) -> Option<ParamId> {
        let thing = self.expr(expr);
        match thing {
            Thing::Tensor(tensor) => Some(tensor),
            Thing::Poison => None,
            Thing::Tuple(_) => {
                self.fail(expr.span(), "a tuple has no index", "write `.0`, `.1`, …");
                None
            }
            _ => {
                let help = "only tensors, the parameters in memory, are indexed; tiles are combined by the names of their axes";
                self.fail(expr.span(), "this is not a tensor, so it has no index", help);
                None
            }
        }
    }

    /// A load, with the default of `.or(default)` if it has one.
    pub(crate) fn load(
        &mut self,
        tensor: ParamId,
        index: &syn::Expr,
        default: Option<(&syn::Expr, Span)>,
        span: Span,
    ) -> Thing {
        let index = self.index(tensor, index);
        let default = default.map(|(expr, _)| (self.operand_expr(expr), expr.span()));
        if !self.inside("a load", span) {
            return Thing::Poison;
        }
        let Some(index) = index else { return Thing::Poison };
        let elem = self.tensor_elem(tensor);
        let default = match default {
            None => None,
            Some((None, _)) => return Thing::Poison,
            Some((Some(operand), span)) => match self.default_value(operand, elem, tensor, span) {
                Some(value) => Some(value),
                None => return Thing::Poison,
            },
        };
        let axes = self.index_axes(&index);
        Thing::Value(self.push(Op::Load { tensor, index, default }, Type { elem, axes }, span))
    }

    fn default_value(
        &mut self,
        operand: Operand,
        elem: Elem,
        tensor: ParamId,
        span: Span,
    ) -> Option<ValueId> {
        let what = format!("{}, which this default stands for,", self.kernel.params[tensor].name);
        let value = self.coerce(operand, elem, &what, span)?;
        if !self.ty(value).axes.is_empty() {
            self.fail(
                span,
                "the default of `.or` is a scalar, but this is a tile",
                "use `select` to choose between tiles",
            );
            return None;
        }
        Some(value)
    }

    pub(crate) fn tensor_elem(&self, tensor: ParamId) -> Elem {
        match &self.kernel.params[tensor].kind {
            ParamKind::Tensor { elem, .. } | ParamKind::Scalar { elem, .. } => *elem,
        }
    }

    fn tensor_dims(&self, tensor: ParamId) -> Vec<DimId> {
        match &self.kernel.params[tensor].kind {
            ParamKind::Tensor { dims, .. } => dims.clone(),
            ParamKind::Scalar { .. } => Vec::new(),
        }
    }

    /// The axes that a tile loaded at `index` has.
    fn index_axes(&self, index: &[Index]) -> AxisSet {
        let sets = index.iter().map(|part| match part {
            Index::Axis { axis, .. } => AxisSet::new([*axis]),
            Index::Scalar(_) => AxisSet::default(),
            Index::Gather(value) => self.ty(*value).axes.clone(),
        });
        sets.fold(AxisSet::default(), |all, set| all.union(&set))
    }

    /// One part for each dimension of the tensor.
    pub(crate) fn index(&mut self, tensor: ParamId, expr: &syn::Expr) -> Option<Vec<Index>> {
        let parts: Vec<&syn::Expr> = match peel(expr) {
            syn::Expr::Tuple(tuple) => tuple.elems.iter().collect(),
            single => vec![single],
        };
        let dims = self.tensor_dims(tensor);
        if parts.len() != dims.len() {
            let name = self.kernel.params[tensor].name.to_string();
            let names: Vec<String> = dims.iter().map(|dim| self.dim_name(*dim)).collect();
            let (has, given) =
                (counted(dims.len(), "dimension", "dimensions"), counted(parts.len(), "index", "indices"));
            self.fail(
                expr.span(),
                format!(
                    "{name} has {has} ({}), but {given} {} given",
                    names.join(", "),
                    if parts.len() == 1 { "is" } else { "are" }
                ),
                format!("give one for each dimension, `..` for a whole one: `{}`", self.load_example(tensor)),
            );
            return None;
        }
        let index: Vec<Option<Index>> = parts
            .iter()
            .zip(&dims)
            .enumerate()
            .map(|(at, (part, dim))| self.index_part(tensor, at, *dim, part))
            .collect();
        let index: Vec<Index> = index.into_iter().collect::<Option<_>>()?;
        self.check_whole_twice(&index, &parts)?;
        Some(index)
    }

    fn check_whole_twice(&mut self, index: &[Index], parts: &[&syn::Expr]) -> Option<()> {
        let mut seen: Vec<AxisId> = Vec::new();
        for (part, expr) in index.iter().zip(parts) {
            let Index::Axis { axis, .. } = part else { continue };
            if !matches!(self.kernel.axes[*axis].kind, AxisKind::Whole { .. }) {
                continue;
            }
            if seen.contains(axis) {
                let dim = self.axis_name(*axis);
                self.fail(
                    expr.span(),
                    format!("the whole dimension {dim} stands twice in one tile, so its two axes cannot be told apart"),
                    format!("loop over one of them: `for n in tile({dim})`"),
                );
                return None;
            }
            seen.push(*axis);
        }
        Some(())
    }

    fn index_part(&mut self, tensor: ParamId, at: usize, dim: DimId, expr: &syn::Expr) -> Option<Index> {
        let expr = peel(expr);
        if let syn::Expr::Range(range) = expr {
            if range.start.is_some() || range.end.is_some() {
                let dim = self.dim_name(dim);
                self.fail(
                    expr.span(),
                    "a part of a dimension cannot stand in an index",
                    format!("loop over it: `for n in tile({dim}, a..b)`"),
                );
                return None;
            }
            return Some(Index::Axis { axis: self.whole_axis(dim), offset: None });
        }
        let part = self.index_thing(expr)?;
        match part {
            Part::Axis(axis, offset) => self.axis_index(tensor, at, dim, axis, offset, expr.span()),
            Part::Thing(thing) => self.value_index(tensor, thing, expr.span()),
        }
    }

    /// `m`, `m + 1`, `1 + m`, `m - r + 1`: an axis and what is added; anything else as it is.
    fn index_thing(&mut self, expr: &syn::Expr) -> Option<Part> {
        let expr = peel(expr);
        let syn::Expr::Binary(binary) = expr else {
            return match self.expr(expr) {
                Thing::Axis(axis) => Some(Part::Axis(axis, None)),
                Thing::Dim(dim) => Some(Part::Axis(self.whole_axis(dim), None)),
                Thing::Poison => None,
                thing => Some(Part::Thing(thing)),
            };
        };
        let op = match binary.op {
            syn::BinOp::Add(_) => BinaryOp::Add,
            syn::BinOp::Sub(_) => BinaryOp::Sub,
            _ => return Some(Part::Thing(self.expr(expr))),
        };
        let left = self.offset_side(&binary.left);
        let right = self.offset_side(&binary.right);
        let (left, right) = (left?, right?);
        match (left, right) {
            (Part::Axis(axis, offset), Part::Thing(thing)) => {
                self.offset(axis, offset, op, thing, binary.right.span())
            }
            (Part::Thing(thing), Part::Axis(axis, offset)) if op == BinaryOp::Add => {
                self.offset(axis, offset, op, thing, binary.left.span())
            }
            (Part::Thing(left), Part::Thing(right)) => {
                let thing =
                    self.binary_things(left, binary.left.span(), &binary.op, right, binary.right.span());
                if matches!(thing, Thing::Poison) { None } else { Some(Part::Thing(thing)) }
            }
            (left, right) => {
                let (left, right) = (
                    self.part_as_value(left, binary.left.span()),
                    self.part_as_value(right, binary.right.span()),
                );
                let thing =
                    self.binary_things(left, binary.left.span(), &binary.op, right, binary.right.span());
                if matches!(thing, Thing::Poison) { None } else { Some(Part::Thing(thing)) }
            }
        }
    }

    /// One side of a sum in an index: here a dimension is an integer, not the whole of it.
    fn offset_side(&mut self, expr: &syn::Expr) -> Option<Part> {
        if let syn::Expr::Path(_) = peel(expr) {
            return match self.expr(peel(expr)) {
                Thing::Axis(axis) => Some(Part::Axis(axis, None)),
                Thing::Poison => None,
                thing => Some(Part::Thing(thing)),
            };
        }
        self.index_thing(expr)
    }

    /// The positions along an axis, where a sum needs them as a value.
    fn part_as_value(&mut self, part: Part, span: Span) -> Thing {
        match part {
            Part::Thing(thing) => thing,
            Part::Axis(axis, offset) => {
                let Some(Thing::Value(index)) = self.axis_method(axis, "index", span) else {
                    return Thing::Poison;
                };
                match offset {
                    None => Thing::Value(index),
                    Some(offset) => {
                        let ty = self.ty(index).clone();
                        Thing::Value(self.push(Op::Binary(BinaryOp::Add, index, offset), ty, span))
                    }
                }
            }
        }
    }

    fn offset(
        &mut self,
        axis: AxisId,
        offset: Option<ValueId>,
        op: BinaryOp,
        thing: Thing,
        span: Span,
    ) -> Option<Part> {
        let operand = self.operand(thing, span)?;
        let is_tile = matches!(operand, Operand::Value(value) if !self.ty(value).axes.is_empty());
        let thing = match operand {
            Operand::Value(value) => Thing::Value(value),
            Operand::Number(number, span) => Thing::Number(number, span),
            Operand::Casting(value, span) => Thing::Casting(value, span),
        };
        if is_tile {
            // m + ids[m]: no longer an axis with an offset, but positions computed element by element.
            let index = self.part_as_value(Part::Axis(axis, offset), span);
            let sign: syn::BinOp =
                if op == BinaryOp::Add { syn::parse_quote!(+) } else { syn::parse_quote!(-) };
            return match self.binary_things(index, span, &sign, thing, span) {
                Thing::Poison => None,
                thing => Some(Part::Thing(thing)),
            };
        }
        let thing = match (thing, op, offset) {
            // axis - 3  is  axis + -3
            (Thing::Number(number, span), BinaryOp::Sub, None) => Thing::Number(number.negated(), span),
            (thing, BinaryOp::Sub, None) => {
                let value = self.scalar_i32(thing, "what is subtracted from an axis", span)?;
                let ty = self.ty(value).clone();
                Thing::Value(self.push(Op::Unary(UnaryOp::Neg, value), ty, span))
            }
            (thing, ..) => thing,
        };
        let value = self.scalar_i32(thing, "what is added to an axis", span)?;
        let sum = match offset {
            None => value,
            Some(offset) => {
                let ty = self.ty(value).clone();
                self.push(Op::Binary(op, offset, value), ty, span)
            }
        };
        Some(Part::Axis(axis, Some(sum)))
    }

    fn axis_index(
        &mut self,
        tensor: ParamId,
        at: usize,
        dim: DimId,
        axis: AxisId,
        offset: Option<ValueId>,
        span: Span,
    ) -> Option<Index> {
        let over = self.kernel.axes[axis].kind.dim();
        if over == Some(dim) {
            return Some(Index::Axis { axis, offset });
        }
        let (name, wanted) = (self.axis_name(axis), self.dim_name(dim));
        let tensor = self.kernel.params[tensor].name.to_string();
        let position = if at < ORDINALS.len() { ORDINALS[at] } else { "last" };
        let over = over.map_or_else(String::new, |dim| self.dim_name(dim));
        let whole = matches!(self.kernel.axes[axis].kind, AxisKind::Whole { .. });
        let subject = if whole {
            format!("{name} is a whole dimension")
        } else {
            format!("axis {name} runs over {over}")
        };
        let help = if whole {
            format!("write `..` for the whole of {wanted}, or an axis that runs over {wanted}")
        } else {
            format!(
                "{name} comes from `{}`; index here with an axis over {wanted}, or with `{name}.index()` if these positions are meant",
                self.origin(axis)
            )
        };
        self.fail(span, format!("{subject}, but the {position} dimension of {tensor} is {wanted}"), help);
        None
    }

    /// A scalar or a tile of integers.
    fn value_index(&mut self, tensor: ParamId, thing: Thing, span: Span) -> Option<Index> {
        let operand = self.operand(thing, span)?;
        if let Operand::Number(super::literal::Number::Float(_), _) = operand {
            return self.not_an_index(tensor, "a float", span);
        }
        let value = match operand {
            Operand::Casting(..) => self.convert(operand, Elem::I32)?,
            operand => self.settle(operand)?,
        };
        let value = match self.elem(value) {
            Elem::I32 | Elem::I64 => value,
            Elem::I8 | Elem::U8 | Elem::I16 | Elem::U16 => self.cast(value, Elem::I32, span),
            Elem::U32 => self.cast(value, Elem::I64, span),
            elem @ (Elem::F32
            | Elem::F64
            | Elem::F16
            | Elem::BF16
            | Elem::F8E4M3
            | Elem::F8E5M2
            | Elem::Bool
            | Elem::Param(_)) => {
                let name = self.elem_name(elem);
                return self.not_an_index(tensor, &name, span);
            }
        };
        Some(if self.ty(value).axes.is_empty() { Index::Scalar(value) } else { Index::Gather(value) })
    }

    fn not_an_index(&mut self, tensor: ParamId, has: &str, span: Span) -> Option<Index> {
        let tensor = self.kernel.params[tensor].name.to_string();
        self.fail(
            span,
            format!("an index of {tensor} is an axis, an integer or `..`, but this is {has}"),
            "cast it to an integer: `.cast::<i32>()`",
        );
        None
    }

    /// `out[(m, n)] = value`, `out[m] += value`.
    pub(crate) fn store(
        &mut self,
        target: &syn::ExprIndex,
        op: Option<&syn::BinOp>,
        value: &syn::Expr,
        span: Span,
    ) {
        let tensor = self.tensor_expr(&target.expr);
        let value_span = value.span();
        let value = self.expr(value);
        let Some(tensor) = tensor else { return };
        let index = self.index(tensor, &target.index);
        let writable = self.check_writable(tensor, target.expr.span());
        let inside = self.inside("a store", span);
        let Some(index) = index else { return };
        if !writable || !inside {
            return;
        }
        let value = match op {
            None => value,
            Some(op) => {
                let (elem, axes) = (self.tensor_elem(tensor), self.index_axes(&index));
                let load = Op::Load { tensor, index: index.clone(), default: None };
                let old = Thing::Value(self.push(load, Type { elem, axes }, target.expr.span()));
                self.binary_things(old, target.expr.span(), op, value, value_span)
            }
        };
        self.store_value(tensor, index, value, value_span, target, span);
    }

    fn check_writable(&mut self, tensor: ParamId, span: Span) -> bool {
        let ParamKind::Tensor { writable, .. } = self.kernel.params[tensor].kind else { return false };
        if !writable {
            let name = self.kernel.params[tensor].name.to_string();
            self.fail(
                span,
                format!("{name} is a `&Tensor`, which cannot be written"),
                format!("declare it as `{name}: &mut Tensor<…>`"),
            );
        }
        writable
    }

    fn store_value(
        &mut self,
        tensor: ParamId,
        index: Vec<Index>,
        value: Thing,
        value_span: Span,
        target: &syn::ExprIndex,
        span: Span,
    ) {
        let Some(operand) = self.operand(value, value_span) else { return };
        let name = self.kernel.params[tensor].name.to_string();
        let Some(value) = self.coerce(operand, self.tensor_elem(tensor), &name, value_span) else { return };
        let (has, stored) = (self.ty(value).axes.clone(), self.index_axes(&index));
        let mut seen: Vec<AxisId> = Vec::new();
        for part in &index {
            let Index::Axis { axis, .. } = part else { continue };
            if seen.contains(axis) {
                let axis = self.axis_name(*axis);
                self.fail(
                    target.index.span(),
                    format!(
                        "the axis {axis} stands twice in a store to {name}, which writes a diagonal only"
                    ),
                    "loop over two axes, or store the whole and use `select`",
                );
                return;
            }
            seen.push(*axis);
        }
        if let Some(missing) = has.iter().find(|axis| !stored.contains(*axis)) {
            let (axis, has) = (self.axis_name(missing), self.axes_text(&has));
            self.fail(
                target.index.span(),
                format!("the value has the axes {has}, but the index of {name} leaves out {axis}"),
                format!("reduce over it (`.sum({axis})`), or give {axis} a position in the index"),
            );
            return;
        }
        self.emit(Stmt::Store { tensor, index, value, span });
    }
}

/// A part of an index before its dimension is known.
enum Part {
    Axis(AxisId, Option<ValueId>),
    Thing(Thing),
}

/// Without parentheses.
pub(crate) fn peel(expr: &syn::Expr) -> &syn::Expr {
    match expr {
        syn::Expr::Paren(paren) => peel(&paren.expr),
        syn::Expr::Group(group) => peel(&group.expr),
        expr => expr,
    }
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
