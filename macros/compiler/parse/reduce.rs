//! What removes an axis: reductions, `fold` and `dot`.

use super::convert::Operand;
use super::{Lowering, Place, Thing};
use crate::ir::{AxisId, Elem, Fold, Op, ReduceOp, Stmt, Type, ValueId};
use proc_macro2::Span;
use syn::spanned::Spanned;

impl Lowering<'_> {
    /// `x.sum(n)`; `span` is the method's name.
    pub(crate) fn reduce(&mut self, op: ReduceOp, value: ValueId, axis: &syn::Expr, span: Span) -> Thing {
        let name = reduce_name(op);
        let Some(axis) = self.axis_expr(axis) else { return Thing::Poison };
        if !self.has_axis(value, axis, &format!("{name} over"), span) {
            return Thing::Poison;
        }
        let Some(elem) = self.reduced_elem(op, self.elem(value), span) else { return Thing::Poison };
        let axes = self.ty(value).axes.without(axis);
        Thing::Value(self.push(Op::Reduce(op, value, axis), Type { elem, axes }, span))
    }

    fn has_axis(&mut self, value: ValueId, axis: AxisId, what: &str, span: Span) -> bool {
        let axes = self.ty(value).axes.clone();
        if axes.contains(axis) {
            return true;
        }
        let (name, has) = (self.axis_name(axis), self.axes_text(&axes));
        let help = match axes
            .iter()
            .find(|other| self.kernel.axes[*other].kind.dim() == self.kernel.axes[axis].kind.dim())
        {
            Some(other) => {
                let (other, origin) = (self.axis_name(other), self.origin(other));
                format!("the tile extends along {other} ({origin}), so name that one")
            }
            None if axes.is_empty() => "remove it: a scalar has nothing to reduce".to_string(),
            None => format!("reduce over one of {has}"),
        };
        self.fail(span, format!("{what} {name}, but the tile has {}", with_axes(&has)), help);
        false
    }

    fn reduced_elem(&mut self, op: ReduceOp, has: Elem, span: Span) -> Option<Elem> {
        let name = reduce_name(op);
        let wants_bool = matches!(op, ReduceOp::Any | ReduceOp::All);
        if wants_bool != (has == Elem::Bool) {
            let (wanted, help) = if wants_bool {
                ("bools", "compare first: `(x > 0.0).any(n)`")
            } else {
                ("numbers", "cast them: `.cast::<i32>()`, or use `.any(n)` or `.all(n)`")
            };
            let has = self.elem_name(has);
            self.fail(span, format!("{name} is for {wanted}, but the tile holds {has}"), help);
            return None;
        }
        match op {
            ReduceOp::Any | ReduceOp::All => Some(Elem::Bool),
            ReduceOp::Sum | ReduceOp::Mean | ReduceOp::Prod => self.compute_elem(has, name, span),
            ReduceOp::Max | ReduceOp::Min => self.compute_elem(has, name, span).map(|_| has),
            ReduceOp::Argmax | ReduceOp::Argmin => self.compute_elem(has, name, span).map(|_| Elem::I32),
        }
    }

    /// `dot(a, b, k)`.
    pub(crate) fn dot(
        &mut self,
        lhs: &syn::Expr,
        rhs: &syn::Expr,
        axis_expr: &syn::Expr,
        span: Span,
    ) -> Thing {
        let (left, right) = (self.operand_expr(lhs), self.operand_expr(rhs));
        let axis = self.axis_expr(axis_expr);
        let (Some(left), Some(right), Some(axis)) = (left, right, axis) else { return Thing::Poison };
        let (left, right) = match (self.elem_of(left), self.elem_of(right)) {
            (Some(elem), None) => (Some(left), self.convert_fitting(right, elem)),
            (None, Some(elem)) => (self.convert_fitting(left, elem), Some(right)),
            _ => (Some(left), Some(right)),
        };
        self.dot_values(left, right, axis, [lhs, rhs], span)
    }

    fn convert_fitting(&mut self, operand: Operand, elem: Elem) -> Option<Operand> {
        self.coerce(operand, elem, "the other side of dot", self.span_of(operand)).map(Operand::Value)
    }

    fn dot_values(
        &mut self,
        lhs: Option<Operand>,
        rhs: Option<Operand>,
        axis: AxisId,
        sides: [&syn::Expr; 2],
        span: Span,
    ) -> Thing {
        let (Some(lhs), Some(rhs)) = (lhs, rhs) else { return Thing::Poison };
        let (Some(lhs), Some(rhs)) = (self.settle(lhs), self.settle(rhs)) else { return Thing::Poison };
        for ((value, side), which) in [lhs, rhs].into_iter().zip(sides).zip(["left", "right"]) {
            let axes = self.ty(value).axes.clone();
            if !axes.contains(axis) {
                let (name, has) = (self.axis_name(axis), self.axes_text(&axes));
                let help = format!("index both sides with {name} ({})", self.origin(axis));
                self.fail(
                    side.span(),
                    format!("dot contracts {name}, but its {which} side has {}", with_axes(&has)),
                    help,
                );
                return Thing::Poison;
            }
        }
        let (l, r) = (self.elem(lhs), self.elem(rhs));
        let (Some(left), Some(right)) =
            (self.compute_elem(l, "dot", span), self.compute_elem(r, "dot", span))
        else {
            return Thing::Poison;
        };
        if left != right {
            let (l, r) = (self.elem_name(l), self.elem_name(r));
            return self.fail(
                span,
                format!("dot joins different element types: {l} on the left, {r} on the right"),
                format!("cast one side: `.cast::<{r}>()` or `.cast::<{l}>()`"),
            );
        }
        if left == Elem::Bool {
            return self.fail(
                span,
                "dot is for numbers, but its sides hold bool",
                "cast them: `.cast::<i32>()`",
            );
        }
        let axes = self.ty(lhs).axes.union(&self.ty(rhs).axes).without(axis);
        Thing::Value(self.push(Op::Dot(lhs, rhs, axis), Type { elem: left, axes }, span))
    }

    /// `x.fold(n, init, |a, b| …)`.
    pub(crate) fn fold(
        &mut self,
        value: Operand,
        axis: &syn::Expr,
        init: &syn::Expr,
        closure: &syn::Expr,
        span: Span,
    ) -> Thing {
        let axis = self.axis_expr(axis);
        let init = self.operand_expr(init);
        let (Some(axis), Some(init), Some(value)) = (axis, init, self.settle(value)) else {
            return Thing::Poison;
        };
        if !self.has_axis(value, axis, "fold over", span) {
            return Thing::Poison;
        }
        let Some(elem) = self.compute_elem(self.elem(value), "fold", span) else { return Thing::Poison };
        let value = self.cast(value, elem, span);
        let Some(init) = self.coerce(init, elem, "what fold starts from", span) else { return Thing::Poison };
        if !self.ty(init).axes.is_empty() {
            return self.fail(
                self.span(init),
                "fold starts from a scalar, but this is a tile",
                "give the identity of the closure, like `0.0`",
            );
        }
        let Some((lhs, rhs, body, result)) = self.closure(closure, elem) else { return Thing::Poison };
        let axes = self.ty(value).axes.without(axis);
        let fold = Fold { value, axis, init, lhs, rhs, body, result };
        Thing::Value(self.push(Op::Fold(fold), Type { elem, axes }, span))
    }

    /// `|a, b| …` on two scalars.
    fn closure(&mut self, expr: &syn::Expr, elem: Elem) -> Option<(ValueId, ValueId, Vec<ValueId>, ValueId)> {
        let syn::Expr::Closure(closure) = super::index::peel(expr) else {
            self.fail(expr.span(), "fold needs a closure", "write `|a, b| …`, which joins two elements");
            return None;
        };
        let names: Vec<Option<(String, Span)>> = closure.inputs.iter().map(pat_name).collect();
        let [Some(first), Some(second)] = names.as_slice() else {
            self.fail(
                closure.or1_token.span(),
                "the closure of fold takes two elements by name",
                "write `|a, b| …`",
            );
            return None;
        };
        self.scopes.open(false);
        let params = [first, second].map(|(name, span)| {
            let zero = self.zero(elem, *span);
            self.scopes.bind(name.clone(), Thing::Value(zero));
            zero
        });
        let place = std::mem::replace(&mut self.place, Place::Scalar);
        let (result, stmts) = self.in_block(|this| {
            let operand = this.operand_expr(&closure.body)?;
            this.coerce(operand, elem, "what fold joins", closure.body.span())
        });
        self.place = place;
        self.scopes.close();
        let result = result?;
        let mut body = Vec::new();
        for stmt in stmts {
            match stmt {
                Stmt::Let(value) if self.ty(value).axes.is_empty() => {
                    let joins = |operand: &ValueId| params.contains(operand) || body.contains(operand);
                    if self.kernel.values[value].op.operands().iter().any(joins) {
                        body.push(value);
                    } else {
                        // The same for all elements, like the content of a variable: computed before.
                        self.emit(Stmt::Let(value));
                    }
                }
                _ => {
                    self.fail(
                        closure.body.span(),
                        "the closure of fold computes with scalars alone",
                        "compute tiles before it",
                    );
                    return None;
                }
            }
        }
        if !self.ty(result).axes.is_empty() {
            self.fail(
                closure.body.span(),
                "the closure of fold gives a scalar, but this is a tile",
                "use only its two elements and scalars",
            );
            return None;
        }
        Some((params[0], params[1], body, result))
    }

    /// `zeros::<f32>((m, n))` and `full::<f32>(s, value)`: the axes.
    pub(crate) fn axes_expr(&mut self, expr: &syn::Expr) -> Option<crate::ir::AxisSet> {
        let parts: Vec<&syn::Expr> = match super::index::peel(expr) {
            syn::Expr::Tuple(tuple) => tuple.elems.iter().collect(),
            single => vec![single],
        };
        let mut axes: Vec<AxisId> = Vec::new();
        for part in parts {
            let axis = self.axis_expr(part)?;
            if axes.contains(&axis) {
                let name = self.axis_name(axis);
                self.fail(
                    part.span(),
                    format!("the axis {name} stands twice in one tile"),
                    "name each axis once",
                );
                return None;
            }
            axes.push(axis);
        }
        Some(crate::ir::AxisSet::new(axes))
    }

    /// A literal zero, for `zeros`.
    pub(crate) fn zeros_of(&mut self, elem: Elem, axes: &crate::ir::AxisSet, span: Span) -> ValueId {
        let zero = self.zero(elem, span);
        self.broadcast(zero, axes, span)
    }
}

fn pat_name(pat: &syn::Pat) -> Option<(String, Span)> {
    match pat {
        syn::Pat::Ident(ident)
            if ident.by_ref.is_none() && ident.mutability.is_none() && ident.subpat.is_none() =>
        {
            Some((ident.ident.to_string(), ident.ident.span()))
        }
        syn::Pat::Type(typed) => pat_name(&typed.pat),
        _ => None,
    }
}

fn with_axes(axes: &str) -> String {
    if axes == "no axes" { axes.to_string() } else { format!("the axes {axes}") }
}

/// The method's name.
pub(crate) fn reduce_name(op: ReduceOp) -> &'static str {
    match op {
        ReduceOp::Sum => "sum",
        ReduceOp::Mean => "mean",
        ReduceOp::Prod => "prod",
        ReduceOp::Max => "max",
        ReduceOp::Min => "min",
        ReduceOp::Argmax => "argmax",
        ReduceOp::Argmin => "argmin",
        ReduceOp::Any => "any",
        ReduceOp::All => "all",
    }
}
