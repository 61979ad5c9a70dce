//! Element types, lanes and literals as tokens.

use super::Emitter;
use proc_macro2::{Literal as Token, TokenStream};
use quote::quote;
use tilewright_compiler::ir::{Elem, ElementBound, Literal};

/// The scalar a lane holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    F32,
    F64,
    I32,
    U32,
    I64,
    Bool,
    /// `<T as Element>::Lane` of a `T: Element`.
    Generic(tilewright_compiler::ir::ElementId),
}

impl Emitter<'_> {
    /// What elements of a type compute in.
    pub fn lane(&self, elem: Elem) -> Lane {
        match elem {
            Elem::F32 | Elem::F16 | Elem::BF16 | Elem::F8E4M3 | Elem::F8E5M2 => Lane::F32,
            Elem::F64 => Lane::F64,
            Elem::I8 | Elem::U8 | Elem::I16 | Elem::U16 | Elem::I32 => Lane::I32,
            Elem::U32 => Lane::U32,
            Elem::I64 => Lane::I64,
            Elem::Bool => Lane::Bool,
            Elem::Param(id) => match self.kernel.elements[id].bound {
                ElementBound::Float => Lane::F32,
                ElementBound::Element => Lane::Generic(id),
            },
        }
    }

    /// The element type as tensors have it.
    pub fn element(&self, elem: Elem) -> TokenStream {
        let private = &self.private;
        match elem {
            Elem::F32 => quote!(f32),
            Elem::F64 => quote!(f64),
            Elem::F16 => quote!(#private::f16),
            Elem::BF16 => quote!(#private::bf16),
            Elem::F8E4M3 => quote!(#private::f8e4m3),
            Elem::F8E5M2 => quote!(#private::f8e5m2),
            Elem::I8 => quote!(i8),
            Elem::U8 => quote!(u8),
            Elem::I16 => quote!(i16),
            Elem::U16 => quote!(u16),
            Elem::I32 => quote!(i32),
            Elem::U32 => quote!(u32),
            Elem::I64 => quote!(i64),
            Elem::Bool => quote!(bool),
            Elem::Param(id) => {
                let name = &self.kernel.elements[id].name;
                quote!(#name)
            }
        }
    }

    /// The Rust type of a scalar of the element type: its lane.
    pub fn scalar(&self, elem: Elem) -> TokenStream {
        match self.lane(elem) {
            Lane::F32 => quote!(f32),
            Lane::F64 => quote!(f64),
            Lane::I32 => quote!(i32),
            Lane::U32 => quote!(u32),
            Lane::I64 => quote!(i64),
            Lane::Bool => quote!(bool),
            Lane::Generic(id) => {
                let (name, private) = (&self.kernel.elements[id].name, &self.private);
                quote!(<#name as #private::Element>::Lane)
            }
        }
    }

    /// The element type of a buffer: the lane, so that nothing is rounded; `T` where lanes are unknown.
    pub fn stored(&self, elem: Elem) -> TokenStream {
        match self.lane(elem) {
            Lane::Generic(_) => self.element(elem),
            Lane::F32 | Lane::F64 | Lane::I32 | Lane::U32 | Lane::I64 | Lane::Bool => self.scalar(elem),
        }
    }

    /// A literal as a scalar of the lane.
    pub fn literal(&self, literal: Literal, elem: Elem) -> TokenStream {
        let private = &self.private;
        let as_float = match literal {
            Literal::Float(x) => x,
            Literal::Int(x) => x as f64,
            Literal::Bool(x) => f64::from(u8::from(x)),
        };
        let as_int = match literal {
            Literal::Float(x) => x as i64,
            Literal::Int(x) => x,
            Literal::Bool(x) => i64::from(x),
        };
        match self.lane(elem) {
            Lane::F32 => {
                let x = f32_token(as_float as f32);
                if elem == Elem::F32 {
                    return x;
                }
                let element = self.element(elem);
                quote!(<#element as #private::Element>::round::<#private::simd::One>(#x))
            }
            Lane::F64 => f64_token(as_float),
            Lane::I32 => signed(
                as_int,
                Token::i32_suffixed(as_int.unsigned_abs() as i32),
                i32::MIN.into(),
                quote!(i32),
            ),
            Lane::I64 => {
                signed(as_int, Token::i64_suffixed(as_int.unsigned_abs() as i64), i64::MIN, quote!(i64))
            }
            Lane::U32 => {
                let x = Token::u32_suffixed(as_int as u32);
                quote!(#x)
            }
            Lane::Bool => {
                let x = as_int != 0;
                quote!(#x)
            }
            // The front end allows no other literal of an unknown type.
            Lane::Generic(id) => {
                let name = &self.kernel.elements[id].name;
                quote!(<#name as #private::Element>::to_lane(<#name as ::core::default::Default>::default()))
            }
        }
    }

    /// What leaves a reduction as it is: lowest and highest values of the element type.
    pub fn extreme(&self, elem: Elem, lowest: bool) -> TokenStream {
        let name = super::names::plain(if lowest { "MIN" } else { "MAX" });
        match self.lane(elem) {
            Lane::F32 | Lane::F64 => {
                let (lane, name) = (
                    self.scalar(elem),
                    super::names::plain(if lowest { "NEG_INFINITY" } else { "INFINITY" }),
                );
                quote!(#lane::#name)
            }
            Lane::I32 => {
                let element = self.element(elem);
                quote!((#element::#name as i32))
            }
            Lane::U32 => quote!(u32::#name),
            Lane::I64 => quote!(i64::#name),
            Lane::Bool => {
                let highest = !lowest;
                quote!(#highest)
            }
            Lane::Generic(_) => self.literal(Literal::Int(0), elem),
        }
    }
}

fn signed(x: i64, magnitude: Token, lowest: i64, ty: TokenStream) -> TokenStream {
    if x <= lowest {
        quote!(#ty::MIN)
    } else if x < 0 {
        quote!((-#magnitude))
    } else {
        quote!(#magnitude)
    }
}

fn f32_token(x: f32) -> TokenStream {
    let bits = x.to_bits();
    if x.is_finite() && x.is_sign_positive() {
        let x = Token::f32_suffixed(x);
        return quote!(#x);
    }
    if x.is_finite() {
        let x = Token::f32_suffixed(-x);
        return quote!((-#x));
    }
    quote!(f32::from_bits(#bits))
}

fn f64_token(x: f64) -> TokenStream {
    let bits = x.to_bits();
    if x.is_finite() && x.is_sign_positive() {
        let x = Token::f64_suffixed(x);
        return quote!(#x);
    }
    if x.is_finite() {
        let x = Token::f64_suffixed(-x);
        return quote!((-#x));
    }
    quote!(f64::from_bits(#bits))
}
