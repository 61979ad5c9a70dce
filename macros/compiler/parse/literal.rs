//! Numbers that have no type yet: literals and arithmetic on them.

use super::{Lowering, Thing};
use crate::ir::{BinaryOp, Elem, Literal, Op, ValueId};
use proc_macro2::Span;

/// A literal, or arithmetic on literals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// `3`, of any number type.
    Int(i64),
    /// `3.0`, of any float type.
    Float(f64),
}

impl Number {
    /// As a literal of a type that has it: integers as floats too, never the other way round.
    pub(crate) fn literal(self, elem: Elem, is_float: bool) -> Option<Literal> {
        let range = match elem {
            Elem::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
            Elem::U8 => (0, i64::from(u8::MAX)),
            Elem::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            Elem::U16 => (0, i64::from(u16::MAX)),
            Elem::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Elem::U32 => (0, i64::from(u32::MAX)),
            Elem::I64 => (i64::MIN, i64::MAX),
            Elem::Bool
            | Elem::F32
            | Elem::F64
            | Elem::F16
            | Elem::BF16
            | Elem::F8E4M3
            | Elem::F8E5M2
            | Elem::Param(_) => (1, 0),
        };
        match self {
            Number::Int(int) if is_float => Some(Literal::Float(int as f64)),
            Number::Int(int) if (range.0..=range.1).contains(&int) => Some(Literal::Int(int)),
            Number::Float(float) if is_float => Some(Literal::Float(float)),
            Number::Int(_) | Number::Float(_) => None,
        }
    }

    /// Arithmetic before a type is known; `None` where it has no meaning.
    pub(crate) fn binary(self, op: BinaryOp, other: Number) -> Option<Number> {
        if let (Number::Int(a), Number::Int(b)) = (self, other) {
            return int(op, a, b).map(Number::Int);
        }
        let (a, b) = (self.float(), other.float());
        let result = match op {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a * b,
            BinaryOp::Div => a / b,
            BinaryOp::Rem => a % b,
            BinaryOp::Max => a.max(b),
            BinaryOp::Min => a.min(b),
            BinaryOp::Pow
            | BinaryOp::ExpSub
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::Shl
            | BinaryOp::Shr => return None,
        };
        Some(Number::Float(result))
    }

    /// `-self`.
    pub(crate) fn negated(self) -> Number {
        match self {
            Number::Int(int) => Number::Int(int.wrapping_neg()),
            Number::Float(float) => Number::Float(-float),
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        }
    }
}

fn int(op: BinaryOp, a: i64, b: i64) -> Option<i64> {
    match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Sub => a.checked_sub(b),
        BinaryOp::Mul => a.checked_mul(b),
        BinaryOp::Div if b == 0 => Some(0),
        BinaryOp::Div => a.checked_div(b),
        BinaryOp::Rem if b == 0 => Some(0),
        BinaryOp::Rem => a.checked_rem(b),
        BinaryOp::Max => Some(a.max(b)),
        BinaryOp::Min => Some(a.min(b)),
        BinaryOp::And => Some(a & b),
        BinaryOp::Or => Some(a | b),
        BinaryOp::Xor => Some(a ^ b),
        BinaryOp::Shl => u32::try_from(b).ok().and_then(|b| a.checked_shl(b)),
        BinaryOp::Shr => u32::try_from(b).ok().and_then(|b| a.checked_shr(b)),
        BinaryOp::Pow | BinaryOp::ExpSub => None,
    }
}

/// Named numbers of the float and integer types: `f32::MAX`.
fn associated(ty: &str, name: &str) -> Option<(Elem, Literal)> {
    let float = |elem, value| Some((elem, Literal::Float(value)));
    let int = |elem, min: i64, max: i64| match name {
        "MIN" => Some((elem, Literal::Int(min))),
        "MAX" => Some((elem, Literal::Int(max))),
        _ => None,
    };
    match (ty, name) {
        ("f32", "MAX") => float(Elem::F32, f64::from(f32::MAX)),
        ("f32", "MIN") => float(Elem::F32, f64::from(f32::MIN)),
        ("f32", "MIN_POSITIVE") => float(Elem::F32, f64::from(f32::MIN_POSITIVE)),
        ("f32", "EPSILON") => float(Elem::F32, f64::from(f32::EPSILON)),
        ("f32", "INFINITY") => float(Elem::F32, f64::INFINITY),
        ("f32", "NEG_INFINITY") => float(Elem::F32, f64::NEG_INFINITY),
        ("f32", "NAN") => float(Elem::F32, f64::NAN),
        ("f64", "MAX") => float(Elem::F64, f64::MAX),
        ("f64", "MIN") => float(Elem::F64, f64::MIN),
        ("f64", "MIN_POSITIVE") => float(Elem::F64, f64::MIN_POSITIVE),
        ("f64", "EPSILON") => float(Elem::F64, f64::EPSILON),
        ("f64", "INFINITY") => float(Elem::F64, f64::INFINITY),
        ("f64", "NEG_INFINITY") => float(Elem::F64, f64::NEG_INFINITY),
        ("f64", "NAN") => float(Elem::F64, f64::NAN),
        ("i8", _) => int(Elem::I8, i8::MIN.into(), i8::MAX.into()),
        ("u8", _) => int(Elem::U8, u8::MIN.into(), u8::MAX.into()),
        ("i16", _) => int(Elem::I16, i16::MIN.into(), i16::MAX.into()),
        ("u16", _) => int(Elem::U16, u16::MIN.into(), u16::MAX.into()),
        ("i32", _) => int(Elem::I32, i32::MIN.into(), i32::MAX.into()),
        ("u32", _) => int(Elem::U32, u32::MIN.into(), u32::MAX.into()),
        ("i64", _) => int(Elem::I64, i64::MIN, i64::MAX),
        _ => None,
    }
}

/// `f32::consts`, by name; the f32 ones are rounded once when the literal is.
fn constant(name: &str) -> Option<f64> {
    use std::f64::consts as c;
    Some(match name {
        "E" => c::E,
        "FRAC_1_PI" => c::FRAC_1_PI,
        "FRAC_1_SQRT_2" => c::FRAC_1_SQRT_2,
        "FRAC_2_PI" => c::FRAC_2_PI,
        "FRAC_2_SQRT_PI" => c::FRAC_2_SQRT_PI,
        "FRAC_PI_2" => c::FRAC_PI_2,
        "FRAC_PI_3" => c::FRAC_PI_3,
        "FRAC_PI_4" => c::FRAC_PI_4,
        "FRAC_PI_6" => c::FRAC_PI_6,
        "FRAC_PI_8" => c::FRAC_PI_8,
        "LN_2" => c::LN_2,
        "LN_10" => c::LN_10,
        "LOG2_10" => c::LOG2_10,
        "LOG2_E" => c::LOG2_E,
        "LOG10_2" => c::LOG10_2,
        "LOG10_E" => c::LOG10_E,
        "PI" => c::PI,
        "SQRT_2" => c::SQRT_2,
        "TAU" => c::TAU,
        _ => return None,
    })
}

impl Lowering<'_> {
    /// A literal expression.
    pub(crate) fn literal(&mut self, lit: &syn::Lit) -> Thing {
        match lit {
            syn::Lit::Int(int) => self.int_literal(int),
            syn::Lit::Float(float) => {
                let span = float.span();
                match float.base10_parse::<f64>() {
                    Ok(value) => self.suffixed(Number::Float(value), float.suffix(), span),
                    Err(_) => self.fail(span, "this number is out of range", "write it as an f32 or f64"),
                }
            }
            syn::Lit::Bool(value) => {
                Thing::Value(self.leaf(Op::Literal(Literal::Bool(value.value)), Elem::Bool, value.span))
            }
            other => self.fail(
                other.span(),
                "only numbers and bools are values in a kernel",
                "remove this literal",
            ),
        }
    }

    fn int_literal(&mut self, int: &syn::LitInt) -> Thing {
        let span = int.span();
        let number = match int.base10_parse::<i64>() {
            Ok(value) => Number::Int(value),
            Err(_) if int.base10_digits() == "9223372036854775808" => Number::Int(i64::MIN),
            Err(_) => return self.fail(span, "this number does not fit in 64 bits", "use a smaller number"),
        };
        self.suffixed(number, int.suffix(), span)
    }

    fn suffixed(&mut self, number: Number, suffix: &str, span: Span) -> Thing {
        if suffix.is_empty() {
            return Thing::Number(number, span);
        }
        match self.elem_by_name(suffix, span) {
            Some(elem) => self.number_as(number, elem, span).map_or(Thing::Poison, Thing::Value),
            None => Thing::Poison,
        }
    }

    /// A literal of the given type; reports one that does not fit.
    pub(crate) fn number_as(&mut self, number: Number, elem: Elem, span: Span) -> Option<ValueId> {
        let is_float = elem.is_float(&self.kernel.elements);
        let Some(literal) = number.literal(elem, is_float) else {
            let name = self.elem_name(elem);
            let what = match number {
                Number::Int(int) => int.to_string(),
                Number::Float(float) => format!("{float:?}"),
            };
            let help = match number {
                Number::Float(_) if elem == Elem::Bool => "compare it with something to get a bool".into(),
                Number::Float(_) => {
                    format!("write an integer, or cast the {name} side to f32 with `.cast::<f32>()`")
                }
                Number::Int(_) => format!("write a number that {name} has"),
            };
            self.fail(span, format!("{what} is not a number of the element type {name}"), help);
            return None;
        };
        Some(self.leaf(Op::Literal(literal), elem, span))
    }

    /// The element type called `name`, reported if there is none.
    pub(crate) fn elem_by_name(&mut self, name: &str, span: Span) -> Option<Elem> {
        use super::types::{ELEM_HELP, Named, elem_named};
        match elem_named(name, &self.kernel.elements) {
            Named::Elem(elem) => Some(elem),
            Named::Later => {
                self.fail(span, format!("the element type {name} comes in a later version"), ELEM_HELP);
                None
            }
            Named::Unknown => {
                self.fail(span, format!("{name} is not an element type"), ELEM_HELP);
                None
            }
        }
    }

    /// `f32::NEG_INFINITY`, `core::f32::consts::PI`; `None` if the path is no such constant.
    pub(crate) fn constant_path(&mut self, path: &syn::Path, span: Span) -> Option<Thing> {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (elem, literal) = match names.as_slice() {
            [.., ty, "consts", name] => {
                let elem = if *ty == "f64" { Elem::F64 } else { Elem::F32 };
                (elem, Literal::Float(constant(name)?))
            }
            [.., ty, name] => associated(ty, name)?,
            _ => return None,
        };
        Some(Thing::Value(self.leaf(Op::Literal(literal), elem, span)))
    }
}
