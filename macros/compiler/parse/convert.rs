//! From things to values of a wanted element type: what converts by itself, and what needs a cast.

use super::{Lowering, Thing};
use crate::ir::{AxisSet, Elem, Literal, Op, Type, ValueId};
use proc_macro2::Span;

/// What can stand in arithmetic.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand {
    /// Of a known type.
    Value(ValueId),
    /// Takes the type of the other side.
    Number(super::literal::Number, Span),
    /// `.cast()`: takes the type of the other side.
    Casting(ValueId, Span),
}

impl Lowering<'_> {
    /// A thing where a value is wanted. `None` if it is none, which is reported.
    pub(crate) fn operand(&mut self, thing: Thing, span: Span) -> Option<Operand> {
        match thing {
            Thing::Value(value) => Some(Operand::Value(value)),
            Thing::Number(number, span) => Some(Operand::Number(number, span)),
            Thing::Casting(value, span) => Some(Operand::Casting(value, span)),
            Thing::Var(var) => {
                let ty = self.kernel.vars[var].ty.clone();
                Some(Operand::Value(self.push(Op::Read(var), ty, span)))
            }
            Thing::Each(axis) => Some(Operand::Value(self.leaf(Op::Each(axis), Elem::I32, span))),
            Thing::Dim(dim) => Some(Operand::Value(self.leaf(Op::Dim(dim), Elem::I32, span))),
            Thing::Axis(axis) => {
                let name = self.axis_name(axis);
                let help = format!("write `{name}.index()` for the positions along {name}");
                self.fail(span, format!("{name} is an axis, not a value"), help);
                None
            }
            Thing::Tensor(tensor) => {
                let name = self.kernel.params[tensor].name.to_string();
                self.fail(
                    span,
                    format!("{name} is a tensor in memory, not a value"),
                    format!("load a tile of it: `{}`", self.load_example(tensor)),
                );
                None
            }
            Thing::Function(function) => {
                let name = self.kernel.functions[function].name.to_string();
                self.fail(
                    span,
                    format!("{name} is a function, not a value"),
                    format!("call it: `{name}(x)`"),
                );
                None
            }
            Thing::Tuple(_) => {
                self.fail(span, "a tuple where one value is expected", "use one of its parts");
                None
            }
            Thing::Unit => {
                self.fail(span, "this gives no value", "end the block with an expression without `;`");
                None
            }
            Thing::Poison => None,
        }
    }

    /// `x[(.., ..)]` for a tensor of two dimensions.
    pub(crate) fn load_example(&self, tensor: crate::ir::ParamId) -> String {
        let name = &self.kernel.params[tensor].name;
        let rank = match &self.kernel.params[tensor].kind {
            crate::ir::ParamKind::Tensor { dims, .. } => dims.len(),
            crate::ir::ParamKind::Scalar { .. } => 0,
        };
        match rank {
            1 => format!("{name}[..]"),
            rank => format!("{name}[({})]", vec![".."; rank].join(", ")),
        }
    }

    /// The value of a thing; numbers become i32 or f32.
    pub(crate) fn value_of(&mut self, thing: Thing, span: Span) -> Option<ValueId> {
        let operand = self.operand(thing, span)?;
        self.settle(operand)
    }

    /// The value of an operand that meets nothing which would give it a type.
    pub(crate) fn settle(&mut self, operand: Operand) -> Option<ValueId> {
        match operand {
            Operand::Value(value) => Some(value),
            Operand::Number(number, span) => {
                let elem = match number {
                    super::literal::Number::Int(_) => Elem::I32,
                    super::literal::Number::Float(_) => Elem::F32,
                };
                self.number_as(number, elem, span)
            }
            Operand::Casting(_, span) => {
                self.fail(span, "nothing here says what to cast to", "name it: `.cast::<f32>()`");
                None
            }
        }
    }

    /// Whether an operand becomes `elem` by itself: it has that type, computes in it, or has none yet.
    pub(crate) fn fits(&self, operand: Operand, elem: Elem) -> bool {
        match operand {
            Operand::Value(value) => {
                let has = self.elem(value);
                has == elem || (has != Elem::Bool && has.compute(&self.kernel.elements) == Some(elem))
            }
            Operand::Number(number, _) => {
                number.literal(elem, elem.is_float(&self.kernel.elements)).is_some()
            }
            Operand::Casting(..) => true,
        }
    }

    /// The operand as `elem`, which it [`fits`](Self::fits).
    pub(crate) fn convert(&mut self, operand: Operand, elem: Elem) -> Option<ValueId> {
        match operand {
            Operand::Value(value) if self.elem(value) == elem => Some(value),
            Operand::Value(value) => Some(self.cast(value, elem, self.span(value))),
            Operand::Number(number, span) => self.number_as(number, elem, span),
            Operand::Casting(value, span) => Some(self.cast(value, elem, span)),
        }
    }

    /// An explicit conversion; none if the value has that type already.
    pub(crate) fn cast(&mut self, value: ValueId, elem: Elem, span: Span) -> ValueId {
        let ty = self.ty(value).clone();
        if ty.elem == elem {
            return value;
        }
        self.push(Op::Cast(value), Type { elem, axes: ty.axes }, span)
    }

    /// The element type of an operand, if it has one yet.
    pub(crate) fn elem_of(&self, operand: Operand) -> Option<Elem> {
        match operand {
            Operand::Value(value) => Some(self.elem(value)),
            Operand::Number(..) | Operand::Casting(..) => None,
        }
    }

    /// For messages: the element type, or what it is instead.
    pub(crate) fn elem_text(&self, operand: Operand) -> String {
        match operand {
            Operand::Value(value) => self.elem_name(self.elem(value)),
            Operand::Number(super::literal::Number::Int(_), _) => "an integer".to_string(),
            Operand::Number(super::literal::Number::Float(_), _) => "a float".to_string(),
            Operand::Casting(..) => "a cast".to_string(),
        }
    }

    /// Where an operand stands.
    pub(crate) fn span_of(&self, operand: Operand) -> Span {
        match operand {
            Operand::Value(value) => self.span(value),
            Operand::Number(_, span) | Operand::Casting(_, span) => span,
        }
    }

    /// A value of `elem` for a place that has this type (a store, an assignment); `what` names the place.
    pub(crate) fn coerce(&mut self, operand: Operand, elem: Elem, what: &str, span: Span) -> Option<ValueId> {
        if self.fits(operand, elem) {
            return self.convert(operand, elem);
        }
        let (has, wanted) = (self.elem_text(operand), self.elem_name(elem));
        let help = match operand {
            Operand::Number(..) => format!("write a number of the type {wanted}"),
            _ if elem == Elem::Bool => {
                "compare it with something to get a bool, or cast it: `.cast()`".to_string()
            }
            _ => format!("cast it: `.cast()` gives {wanted} here"),
        };
        self.fail(span, format!("the value is {has}, but {what} holds {wanted}"), help);
        None
    }

    /// A scalar i32, for bounds and offsets; small integers widen.
    pub(crate) fn scalar_i32(&mut self, thing: Thing, what: &str, span: Span) -> Option<ValueId> {
        let operand = self.operand(thing, span)?;
        let elem = self.elem_of(operand);
        if !self.fits(operand, Elem::I32) {
            let has = self.elem_text(operand);
            let help = if elem == Some(Elem::I64) { "narrow it: `as i32`" } else { "use an integer" };
            self.fail(span, format!("{what} is an i32, but this is {has}"), help);
            return None;
        }
        let value = self.convert(operand, Elem::I32)?;
        let axes = self.ty(value).axes.clone();
        if !axes.is_empty() {
            let axes = self.axes_text(&axes);
            self.fail(
                span,
                format!("{what} is a scalar, but this is a tile with the axes {axes}"),
                "reduce it first, or use `each` for a scalar index",
            );
            return None;
        }
        Some(value)
    }

    /// A scalar bool, for conditions.
    pub(crate) fn scalar_bool(&mut self, thing: Thing, what: &str, span: Span) -> Option<ValueId> {
        let operand = self.operand(thing, span)?;
        let value = self.settle(operand)?;
        let ty = self.ty(value).clone();
        if ty.elem != Elem::Bool {
            let has = self.elem_name(ty.elem);
            self.fail(span, format!("{what} is a bool, but this is {has}"), "compare it with something");
            return None;
        }
        if !ty.axes.is_empty() {
            let axes = self.axes_text(&ty.axes);
            self.fail(
                span,
                format!("{what} is one bool, but this is a tile with the axes {axes}"),
                "choose element by element with `select(condition, then, otherwise)`, or reduce it with `.any(axis)` or `.all(axis)`",
            );
            return None;
        }
        Some(value)
    }

    /// Zero (or false) of any element type.
    pub(crate) fn zero(&mut self, elem: Elem, span: Span) -> ValueId {
        let literal = match elem {
            Elem::Bool => Literal::Bool(false),
            _ if elem.is_float(&self.kernel.elements) => Literal::Float(0.0),
            _ => Literal::Int(0),
        };
        self.leaf(Op::Literal(literal), elem, span)
    }

    /// The value repeated to have exactly the given axes, which include its own.
    pub(crate) fn broadcast(&mut self, value: ValueId, axes: &AxisSet, span: Span) -> ValueId {
        let elem = self.elem(value);
        if self.ty(value).axes == *axes {
            return value;
        }
        self.push(Op::Broadcast(value), Type { elem, axes: axes.clone() }, span)
    }
}
