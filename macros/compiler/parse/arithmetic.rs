//! Elementwise operations: the type they compute in, and the axes they have.

use super::convert::Operand;
use super::functions::Function;
use super::{Lowering, Thing};
use crate::ir::{AxisKind, AxisSet, BinaryOp, CompareOp, Elem, Op, Type, UnaryOp, ValueId};
use proc_macro2::Span;
use syn::spanned::Spanned;

impl Lowering<'_> {
    /// `lhs op rhs` in an expression.
    pub(crate) fn binary_expr(&mut self, lhs: &syn::Expr, op: &syn::BinOp, rhs: &syn::Expr) -> Thing {
        let left = self.expr(lhs);
        // A variable on the left is read before the right side is computed.
        let left = if matches!(left, Thing::Var(_)) { self.snapshot(left, lhs.span()) } else { left };
        let right = self.expr(rhs);
        self.binary_things(left, lhs.span(), op, right, rhs.span())
    }

    pub(crate) fn binary_things(
        &mut self,
        lhs: Thing,
        lhs_span: Span,
        op: &syn::BinOp,
        rhs: Thing,
        rhs_span: Span,
    ) -> Thing {
        let span = op.span();
        let (left, right) = (self.operand(lhs, lhs_span), self.operand(rhs, rhs_span));
        let (Some(left), Some(right)) = (left, right) else { return Thing::Poison };
        match op {
            syn::BinOp::Add(_) | syn::BinOp::AddAssign(_) => {
                self.arithmetic(BinaryOp::Add, "+", left, right, span)
            }
            syn::BinOp::Sub(_) | syn::BinOp::SubAssign(_) => {
                self.arithmetic(BinaryOp::Sub, "-", left, right, span)
            }
            syn::BinOp::Mul(_) | syn::BinOp::MulAssign(_) => {
                self.arithmetic(BinaryOp::Mul, "*", left, right, span)
            }
            syn::BinOp::Div(_) | syn::BinOp::DivAssign(_) => {
                self.arithmetic(BinaryOp::Div, "/", left, right, span)
            }
            syn::BinOp::Rem(_) | syn::BinOp::RemAssign(_) => {
                self.arithmetic(BinaryOp::Rem, "%", left, right, span)
            }
            syn::BinOp::And(_) => self.logic(BinaryOp::And, "&&", left, right, span),
            syn::BinOp::Or(_) => self.logic(BinaryOp::Or, "||", left, right, span),
            syn::BinOp::BitAnd(_) | syn::BinOp::BitAndAssign(_) => {
                self.bitwise(BinaryOp::And, "&", left, right, span)
            }
            syn::BinOp::BitOr(_) | syn::BinOp::BitOrAssign(_) => {
                self.bitwise(BinaryOp::Or, "|", left, right, span)
            }
            syn::BinOp::BitXor(_) | syn::BinOp::BitXorAssign(_) => {
                self.bitwise(BinaryOp::Xor, "^", left, right, span)
            }
            syn::BinOp::Shl(_) | syn::BinOp::ShlAssign(_) => {
                self.bitwise(BinaryOp::Shl, "<<", left, right, span)
            }
            syn::BinOp::Shr(_) | syn::BinOp::ShrAssign(_) => {
                self.bitwise(BinaryOp::Shr, ">>", left, right, span)
            }
            syn::BinOp::Eq(_) => self.compare(CompareOp::Eq, "==", left, right, span),
            syn::BinOp::Ne(_) => self.compare(CompareOp::Ne, "!=", left, right, span),
            syn::BinOp::Lt(_) => self.compare(CompareOp::Lt, "<", left, right, span),
            syn::BinOp::Le(_) => self.compare(CompareOp::Le, "<=", left, right, span),
            syn::BinOp::Gt(_) => self.compare(CompareOp::Gt, ">", left, right, span),
            syn::BinOp::Ge(_) => self.compare(CompareOp::Ge, ">=", left, right, span),
            _ => self.fail(
                span,
                "this operator is not in the language",
                "use `+ - * / % & | ^ << >> && ||` and comparisons",
            ),
        }
    }

    /// `+ - * / %`: both sides in their compute type.
    fn arithmetic(&mut self, op: BinaryOp, sign: &str, lhs: Operand, rhs: Operand, span: Span) -> Thing {
        if let (Operand::Number(a, _), Operand::Number(b, _)) = (lhs, rhs) {
            return match a.binary(op, b) {
                Some(number) => Thing::Number(number, span),
                None => self.fail(span, "this constant is out of range", "use smaller numbers"),
            };
        }
        let Some(elem) = self.common_compute(sign, lhs, rhs, span) else { return Thing::Poison };
        if elem == Elem::Bool {
            let help = "use `&&`, `||` and `!` on bools, or cast them: `.cast::<i32>()`";
            return self.fail(span, format!("`{sign}` needs numbers, but both sides are bool"), help);
        }
        self.elementwise(lhs, rhs, elem, elem, span, |a, b| Op::Binary(op, a, b))
    }

    /// Comparisons: in the compute type, so that a literal means what it says.
    fn compare(&mut self, op: CompareOp, sign: &str, lhs: Operand, rhs: Operand, span: Span) -> Thing {
        let Some(elem) = self.common_compute(sign, lhs, rhs, span) else { return Thing::Poison };
        if elem == Elem::Bool && !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            return self.fail(
                span,
                format!("`{sign}` needs numbers, but both sides are bool"),
                "compare bools with `==` and `!=`",
            );
        }
        self.elementwise(lhs, rhs, elem, Elem::Bool, span, |a, b| Op::Compare(op, a, b))
    }

    /// `&&` and `||`: bools, element by element.
    fn logic(&mut self, op: BinaryOp, sign: &str, lhs: Operand, rhs: Operand, span: Span) -> Thing {
        for side in [lhs, rhs] {
            if self.elem_of(side) != Some(Elem::Bool) {
                let has = self.elem_text(side);
                let help = "compare first (`x > 0.0`); on integers `&` and `|` work bit by bit";
                return self.fail(span, format!("`{sign}` joins bools, but one side is {has}"), help);
            }
        }
        self.elementwise(lhs, rhs, Elem::Bool, Elem::Bool, span, |a, b| Op::Binary(op, a, b))
    }

    /// `& | ^ << >>`: bools (not the shifts) or integers.
    fn bitwise(&mut self, op: BinaryOp, sign: &str, lhs: Operand, rhs: Operand, span: Span) -> Thing {
        if let (Operand::Number(a, _), Operand::Number(b, _)) = (lhs, rhs) {
            return match a.binary(op, b) {
                Some(number) => Thing::Number(number, span),
                None => self.fail(span, "this constant is out of range", "use smaller numbers"),
            };
        }
        let Some(elem) = self.common_compute(sign, lhs, rhs, span) else { return Thing::Poison };
        let shift = matches!(op, BinaryOp::Shl | BinaryOp::Shr);
        if elem.is_float(&self.kernel.elements) || (shift && elem == Elem::Bool) {
            let has = self.elem_name(elem);
            let help = "use integers; cast with `.cast::<i32>()`";
            return self.fail(span, format!("`{sign}` works on bits, but the operands are {has}"), help);
        }
        self.elementwise(lhs, rhs, elem, elem, span, |a, b| Op::Binary(op, a, b))
    }

    /// The type that both sides compute in; reports sides that have none in common.
    fn common_compute(&mut self, sign: &str, lhs: Operand, rhs: Operand, span: Span) -> Option<Elem> {
        let compute = |this: &mut Self, side: Operand| {
            let Some(has) = this.elem_of(side) else { return Some(None) };
            this.compute_elem(has, &format!("`{sign}`"), span).map(Some)
        };
        let (left, right) = (compute(self, lhs)?, compute(self, rhs)?);
        let elem = match (left, right) {
            (Some(left), Some(right)) if left != right => {
                self.mixed(sign, lhs, rhs, span);
                return None;
            }
            (Some(elem), _) | (None, Some(elem)) => elem,
            (None, None) => {
                let settled = self.settle(if let Operand::Casting(..) = lhs { lhs } else { rhs })?;
                self.elem(settled)
            }
        };
        if !self.fits(lhs, elem) || !self.fits(rhs, elem) {
            self.mixed(sign, lhs, rhs, span);
            return None;
        }
        Some(elem)
    }

    fn mixed(&mut self, sign: &str, lhs: Operand, rhs: Operand, span: Span) {
        let (left, right) = (self.elem_text(lhs), self.elem_text(rhs));
        let number = [lhs, rhs].into_iter().find(|side| matches!(side, Operand::Number(..)));
        let help = match (number, self.elem_of(lhs).or(self.elem_of(rhs))) {
            (Some(_), Some(elem)) => {
                format!("write a number that {0} has, or cast the {0} side", self.elem_name(elem))
            }
            _ => format!("cast one side: `.cast::<{right}>()` or `.cast::<{left}>()`"),
        };
        self.fail(
            span,
            format!("`{sign}` joins different element types: {left} on the left, {right} on the right"),
            help,
        );
    }

    /// What `has` computes in; reports `T: Element`, which only moves.
    pub(crate) fn compute_elem(&mut self, has: Elem, what: &str, span: Span) -> Option<Elem> {
        let compute = has.compute(&self.kernel.elements);
        if compute.is_none() {
            let name = self.elem_name(has);
            self.fail(
                span,
                format!("{what} computes, but {name}: Element can only be moved"),
                format!("declare `{name}: Float`, or cast first: `.cast::<f32>()`"),
            );
        }
        compute
    }

    /// Both sides as `elem`, joined by name of their axes.
    fn elementwise(
        &mut self,
        lhs: Operand,
        rhs: Operand,
        elem: Elem,
        result: Elem,
        span: Span,
        op: impl FnOnce(ValueId, ValueId) -> Op,
    ) -> Thing {
        let (Some(lhs), Some(rhs)) = (self.convert(lhs, elem), self.convert(rhs, elem)) else {
            return Thing::Poison;
        };
        let Some(axes) = self.join(&[lhs, rhs], span) else { return Thing::Poison };
        Thing::Value(self.push(op(lhs, rhs), Type { elem: result, axes }, span))
    }

    /// The axes of an elementwise operation. Outer products are said, not made by accident.
    pub(crate) fn join(&mut self, values: &[ValueId], span: Span) -> Option<AxisSet> {
        let sets: Vec<AxisSet> = values.iter().map(|value| self.ty(*value).axes.clone()).collect();
        let union = sets.iter().fold(AxisSet::default(), |all, set| all.union(set));
        if sets.contains(&union) {
            return Some(union);
        }
        if let Some((whole, tile)) = self.whole_meets_tile(&union, &sets) {
            let (dim, name) = (self.axis_name(whole), self.axis_name(tile));
            let origin = self.origin(tile);
            self.fail(
                span,
                format!("one side extends along the whole dimension {dim}, the other along {name} ({origin}), a part of it"),
                format!("load both sides with {name}, or both whole with `..`"),
            );
            return None;
        }
        if values.iter().any(|value| !self.ty(*value).axes.is_empty() && self.is_index_tile(*value)) {
            return Some(union);
        }
        let sides: Vec<&AxisSet> = sets.iter().filter(|set| !set.is_empty()).collect();
        let (first, second) = (
            sides.first().copied()?,
            sides.iter().find(|set| !sides[0].includes(set) && !set.includes(sides[0])).copied(),
        );
        let (first, second) = (self.axes_text(first), self.axes_text(second.or(sides.last().copied())?));
        self.fail(
            span,
            format!("an outer product by accident: one side has the axes {first}, the other {second}"),
            "if every pair is wanted, say so: `outer(a, b)` multiplies them; otherwise index both sides with the same axes",
        );
        None
    }

    /// A whole dimension and a tile axis over it, if no operand has both.
    fn whole_meets_tile(
        &self,
        union: &AxisSet,
        sets: &[AxisSet],
    ) -> Option<(crate::ir::AxisId, crate::ir::AxisId)> {
        let whole =
            union.iter().filter(|axis| matches!(self.kernel.axes[*axis].kind, AxisKind::Whole { .. }));
        for whole in whole {
            let dim = self.kernel.axes[whole].kind.dim();
            let tile = union.iter().find(|axis| *axis != whole && self.kernel.axes[*axis].kind.dim() == dim);
            if let Some(tile) = tile
                && !sets.iter().any(|set| set.contains(whole) && set.contains(tile))
            {
                return Some((whole, tile));
            }
        }
        None
    }

    /// Made of `m.index()` and scalars alone.
    fn is_index_tile(&self, value: ValueId) -> bool {
        let value = &self.kernel.values[value];
        match &value.op {
            Op::AxisIndex(_) => true,
            Op::Unary(..) | Op::Binary(..) | Op::Compare(..) | Op::Cast(_) | Op::Broadcast(_) => value
                .op
                .operands()
                .iter()
                .all(|operand| self.ty(*operand).axes.is_empty() || self.is_index_tile(*operand)),
            Op::Literal(_)
            | Op::Dim(_)
            | Op::Param(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_)
            | Op::Read(_)
            | Op::Select(..)
            | Op::Call(..)
            | Op::Reduce(..)
            | Op::Fold(_)
            | Op::Dot(..)
            | Op::Load { .. } => false,
        }
    }

    /// `-x` and `!x`.
    pub(crate) fn unary_expr(&mut self, unary: &syn::ExprUnary) -> Thing {
        let thing = self.expr(&unary.expr);
        let span = unary.op.span();
        let Some(operand) = self.operand(thing, unary.expr.span()) else { return Thing::Poison };
        match (unary.op, operand) {
            (syn::UnOp::Neg(_), Operand::Number(number, _)) => Thing::Number(number.negated(), span),
            (syn::UnOp::Neg(_), operand) => {
                self.function(Function::Number(UnaryOp::Neg), "-", &[operand], span)
            }
            (syn::UnOp::Not(_), operand) => self.not(operand, span),
            _ => self.fail(span, "there are no references to follow in a kernel", "remove the `*`"),
        }
    }

    fn not(&mut self, operand: Operand, span: Span) -> Thing {
        let Some(value) = self.settle(operand) else { return Thing::Poison };
        let Some(elem) = self.compute_elem(self.elem(value), "`!`", span) else { return Thing::Poison };
        if elem.is_float(&self.kernel.elements) {
            let has = self.elem_name(self.elem(value));
            return self.fail(
                span,
                format!("`!` is for bools and integers, but this is {has}"),
                "compare first: `!(x > 0.0)`",
            );
        }
        let value = self.cast(value, elem, span);
        let ty = self.ty(value).clone();
        Thing::Value(self.push(Op::Unary(UnaryOp::Not, value), ty, span))
    }

    /// A function of the table, on as many operands as it takes.
    pub(crate) fn function(&mut self, function: Function, name: &str, args: &[Operand], span: Span) -> Thing {
        match (function, args) {
            (Function::Float(op), [operand]) => self.one_operand(op, name, *operand, true, span),
            (Function::Number(op), [operand]) => self.one_operand(op, name, *operand, false, span),
            (Function::Floats(op), [lhs, rhs]) => self.two_floats(op, name, *lhs, *rhs, span),
            (Function::Keep(op), [lhs, rhs]) => {
                let Some(elem) = self.common_kept(name, &[*lhs, *rhs], span) else { return Thing::Poison };
                self.elementwise(*lhs, *rhs, elem, elem, span, |a, b| Op::Binary(op, a, b))
            }
            _ => {
                let wanted = if matches!(function, Function::Float(_) | Function::Number(_)) {
                    "one operand"
                } else {
                    "two operands"
                };
                let help = format!("write `{name}({})`", if wanted == "one operand" { "x" } else { "a, b" });
                self.fail(span, format!("{name} takes {wanted}, but {} were given", args.len()), help)
            }
        }
    }

    fn one_operand(&mut self, op: UnaryOp, name: &str, operand: Operand, floats: bool, span: Span) -> Thing {
        let Some(value) = self.float_default(operand, floats) else { return Thing::Poison };
        let has = self.elem(value);
        let Some(elem) = self.compute_elem(has, name, span) else { return Thing::Poison };
        let is_float = elem.is_float(&self.kernel.elements);
        if elem == Elem::Bool || (floats && !is_float) {
            let has = self.elem_name(has);
            let wanted = if floats { "floats" } else { "numbers" };
            return self.fail(
                span,
                format!("{name} is for {wanted}, but its operand is {has}"),
                "cast it first: `.cast::<f32>()`",
            );
        }
        let value = self.cast(value, elem, span);
        let ty = self.ty(value).clone();
        Thing::Value(self.push(Op::Unary(op, value), ty, span))
    }

    /// The value of an operand; an integer literal counts as a float where floats are wanted.
    fn float_default(&mut self, operand: Operand, floats: bool) -> Option<ValueId> {
        match operand {
            Operand::Number(..) if floats => self.convert(operand, Elem::F32),
            operand => self.settle(operand),
        }
    }

    fn two_floats(&mut self, op: BinaryOp, name: &str, lhs: Operand, rhs: Operand, span: Span) -> Thing {
        let elem = match (lhs, rhs) {
            (Operand::Number(..), Operand::Number(..)) => Some(Elem::F32),
            _ => self.common_compute(name, lhs, rhs, span),
        };
        let Some(elem) = elem else { return Thing::Poison };
        if !elem.is_float(&self.kernel.elements) {
            let has = self.elem_name(elem);
            return self.fail(
                span,
                format!("{name} is for floats, but its operands are {has}"),
                "cast them first: `.cast::<f32>()`",
            );
        }
        self.elementwise(lhs, rhs, elem, elem, span, |a, b| Op::Binary(op, a, b))
    }

    /// The type that all keep: their own if it is the same, else the one they compute in.
    pub(crate) fn common_kept(&mut self, name: &str, operands: &[Operand], span: Span) -> Option<Elem> {
        let elems: Vec<Elem> = operands.iter().filter_map(|operand| self.elem_of(*operand)).collect();
        let elem = match elems.as_slice() {
            [] => {
                let float = operands
                    .iter()
                    .any(|o| matches!(o, Operand::Number(super::literal::Number::Float(_), _)));
                if let Some(casting) = operands.iter().find(|o| matches!(o, Operand::Casting(..))) {
                    self.settle(*casting)?;
                }
                if float { Elem::F32 } else { Elem::I32 }
            }
            [first, rest @ ..] if rest.iter().all(|elem| elem == first) => *first,
            [first, ..] => self.compute_elem(*first, name, span)?,
        };
        if let Some(wrong) = operands.iter().find(|operand| !self.fits(**operand, elem)) {
            let (has, wanted) = (
                self.elem_text(*wrong),
                self.elem_text(*operands.iter().find(|o| self.elem_of(**o).is_some())?),
            );
            let number = matches!(wrong, Operand::Number(..));
            let help = if number {
                format!("write a number that {wanted} has")
            } else {
                format!("cast one side: `.cast::<{wanted}>()`")
            };
            self.fail(span, format!("{name} joins different element types: {wanted} and {has}"), help);
            return None;
        }
        Some(elem)
    }

    /// `select(condition, then, otherwise)`.
    pub(crate) fn select(
        &mut self,
        condition: Operand,
        then: Operand,
        otherwise: Operand,
        span: Span,
    ) -> Thing {
        if self.elem_of(condition) != Some(Elem::Bool) {
            let has = self.elem_text(condition);
            let help = "compare something: `select(x > 0.0, x, 0.0)`";
            return self.fail(
                self.span_of(condition),
                format!("the condition of select is a bool, but this is {has}"),
                help,
            );
        }
        let Some(elem) = self.common_kept("select", &[then, otherwise], span) else { return Thing::Poison };
        let values =
            (self.convert(condition, Elem::Bool), self.convert(then, elem), self.convert(otherwise, elem));
        let (Some(condition), Some(then), Some(otherwise)) = values else { return Thing::Poison };
        let Some(axes) = self.join(&[condition, then, otherwise], span) else { return Thing::Poison };
        Thing::Value(self.push(Op::Select(condition, then, otherwise), Type { elem, axes }, span))
    }

    /// `outer(a, b)`: the product of every pair.
    pub(crate) fn outer(&mut self, lhs: Operand, rhs: Operand, span: Span) -> Thing {
        let Some(elem) = self.common_compute("outer", lhs, rhs, span) else { return Thing::Poison };
        let (Some(lhs), Some(rhs)) = (self.convert(lhs, elem), self.convert(rhs, elem)) else {
            return Thing::Poison;
        };
        if elem == Elem::Bool {
            return self.fail(
                span,
                "outer multiplies, but its operands are bool",
                "cast them: `.cast::<i32>()`",
            );
        }
        let axes = self.ty(lhs).axes.union(&self.ty(rhs).axes);
        Thing::Value(self.push(Op::Binary(BinaryOp::Mul, lhs, rhs), Type { elem, axes }, span))
    }
}
