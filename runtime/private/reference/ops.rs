//! Elementwise operations on tiles.

use super::axes::Axes;
use super::number::{Bits, Integer, Number, Real, Wide};
use super::tile::{Tile, rounded, zip3};
use crate::element::{Element, Kind};
use crate::simd::Odd;
use libm::{erf as erf64, erfc};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

/// Operations of one operand: name, what lanes must be, the function of a lane.
macro_rules! unary {
    ($($name:ident: $bound:ident, $f:expr;)*) => {$(
        #[doc = concat!("`", stringify!($name), "`, lane by lane.")]
        #[must_use]
        pub fn $name<E: Element>(x: &Tile<E>) -> Tile<E>
        where
            E::Lane: $bound,
        {
            x.map::<E>($f)
        }
    )*};
}

/// Functions of floats, given in f64.
macro_rules! real {
    ($($name:ident: $f:expr;)*) => {$(
        #[doc = concat!("`", stringify!($name), "`, lane by lane, rounded once.")]
        #[must_use]
        pub fn $name<E: Element>(x: &Tile<E>) -> Tile<E>
        where
            E::Lane: Real,
        {
            let f: fn(f64) -> f64 = $f;
            x.map::<E>(|lane| E::Lane::down(f(lane.up())))
        }
    )*};
}

/// Operations of two operands.
macro_rules! binary {
    ($($name:ident: $bound:ident, $f:expr;)*) => {$(
        #[doc = concat!("`", stringify!($name), "`, lane by lane.")]
        #[must_use]
        pub fn $name<E: Element>(lhs: &Tile<E>, rhs: &Tile<E>) -> Tile<E>
        where
            E::Lane: $bound,
        {
            lhs.zip::<E, E>(rhs, $f)
        }
    )*};
}

/// Comparisons.
macro_rules! compare {
    ($($name:ident: $operator:tt;)*) => {$(
        #[doc = concat!("`", stringify!($operator), "`, lane by lane.")]
        #[must_use]
        pub fn $name<E: Element>(lhs: &Tile<E>, rhs: &Tile<E>) -> Tile<bool>
        where
            E::Lane: Number,
        {
            lhs.zip::<E, bool>(rhs, |lhs, rhs| lhs $operator rhs)
        }
    )*};
}

unary! {
    neg: Number, Number::neg;
    abs: Number, Number::abs;
    not: Bits, Bits::not;
}

real! {
    floor: f64::floor;
    ceil: f64::ceil;
    round: f64::round_ties_even;
    trunc: f64::trunc;
    sqrt: f64::sqrt;
    rsqrt: |x| 1.0 / x.sqrt();
    recip: f64::recip;
    exp: f64::exp;
    exp2: f64::exp2;
    ln: f64::ln;
    log2: f64::log2;
    sin: f64::sin;
    cos: f64::cos;
    tanh: f64::tanh;
    erf: erf64;
    sigmoid: logistic;
    relu: |x| x.larger(0.0);
    gelu: |x| weighted(x, normal_tail(-x));
    gelu_tanh: |x| weighted(x, logistic(2.0 * (2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x)));
    silu: |x| weighted(x, logistic(x));
}

/// `1 / (1 + e^-x)`; also `(1 + tanh(x/2)) / 2`, without that one's cancellation.
fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `x` times a weight that falls faster than `x` grows: -0, their limit, where the weight is 0.
fn weighted(x: f64, weight: f64) -> f64 {
    if x == f64::NEG_INFINITY { -0.0 } else { x * weight }
}

binary! {
    add: Number, Number::add;
    sub: Number, Number::sub;
    mul: Number, Number::mul;
    div: Number, Number::div;
    rem: Number, Number::rem;
    max: Number, Number::larger;
    min: Number, Number::smaller;
    pow: Real, |base, exponent| Real::down(base.up().powf(exponent.up()));
    exp_sub: Real, |x, peak| Real::down(faded(x.up(), peak.up()));
    and: Bits, Bits::and;
    or: Bits, Bits::or;
    xor: Bits, Bits::xor;
    shl: Integer, Integer::shl;
    shr: Integer, Integer::shr;
}

fn faded(x: f64, peak: f64) -> f64 {
    if peak == f64::NEG_INFINITY { 0.0 } else { (x - peak).exp() }
}

compare! {
    eq: ==;
    ne: !=;
    lt: <;
    le: <=;
    gt: >;
    ge: >=;
}

/// `select(condition, then, otherwise)`, lane by lane.
#[must_use]
pub fn select<E: Element>(condition: &Tile<bool>, then: &Tile<E>, otherwise: &Tile<E>) -> Tile<E> {
    zip3(condition, then, otherwise)
}

/// To another element type.
#[must_use]
pub fn cast<E: Element, To: Element>(x: &Tile<E>) -> Tile<To>
where
    E::Lane: Number,
    To::Lane: Number,
{
    x.map::<To>(|lane| To::Lane::from_wide(to_half::<To>(saturated::<To>(lane.wide()))))
}

/// `erfc(x/√2) / 2`, corrected for the rounding of `x/√2`, whose square is an exponent.
fn normal_tail(x: f64) -> f64 {
    let a = x * FRAC_1_SQRT_2;
    if !a.is_finite() {
        return 0.5 * erfc(a);
    }
    // 1/√2 is its nearest f64 and this.
    let low = x.mul_add(FRAC_1_SQRT_2, -a) - x * 4.833_646_656_726_457e-17;
    0.5 * (erfc(a) - FRAC_2_SQRT_PI * (-a * a).exp() * low)
}

/// Floats to integers narrower than their lane saturate at the integer's own range.
fn saturated<To: Element>(wide: Wide) -> Wide {
    match (wide, range::<To>()) {
        (Wide::Float(x), Some((low, high))) if !x.is_nan() => Wide::Float(x.clamp(low as f64, high as f64)),
        (Wide::Float(_) | Wide::Int(_) | Wide::Bool(_), _) => wide,
    }
}

/// To a shorter float through an f32 that was rounded to odd, so that the last step is the only rounding.
fn to_half<To: Element>(wide: Wide) -> Wide {
    if !matches!(To::KIND, Kind::F16 | Kind::Bf16 | Kind::F8E4m3 | Kind::F8E5m2) {
        return wide;
    }
    match wide {
        Wide::Float(x) => Wide::Float(f64::from(x.odd())),
        Wide::Int(x) => Wide::Float(f64::from(x.odd())),
        Wide::Bool(_) => wide,
    }
}

/// The least and the greatest value of an integer element type.
pub(super) fn range<E: Element>() -> Option<(i64, i64)> {
    Some(match E::NAME {
        "i8" => (i64::from(i8::MIN), i64::from(i8::MAX)),
        "u8" => (0, i64::from(u8::MAX)),
        "i16" => (i64::from(i16::MIN), i64::from(i16::MAX)),
        "u16" => (0, i64::from(u16::MAX)),
        "i32" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        "u32" => (0, i64::from(u32::MAX)),
        "i64" => (i64::MIN, i64::MAX),
        _ => return None,
    })
}

/// Calls of `#[device]` functions: name, the arguments' names and types.
macro_rules! calls {
    ($($name:ident: $($arg:ident $ty:ident $at:literal),*;)*) => {$(
        /// A `#[device]` function, lane by lane.
        #[must_use]
        pub fn $name<$($ty: Element,)* R: Element>(
            f: impl Fn($($ty::Lane),*) -> R::Lane,
            $($arg: &Tile<$ty>),*
        ) -> Tile<R> {
            let axes = Axes::default()$(.union(&$arg.axes))*;
            let mut lanes = Vec::with_capacity(axes.elements());
            axes.walk(&[$($arg.axes.strides(&axes)),*], |at| {
                lanes.push(rounded::<R>(f($($arg.lanes[at[$at]]),*)));
            });
            Tile { axes, lanes }
        }
    )*};
}

calls! {
    call1: a A 0;
    call2: a A 0, b B 1;
    call3: a A 0, b B 1, c C 2;
    call4: a A 0, b B 1, c C 2, d D 3;
}
