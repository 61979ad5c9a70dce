//! Powers, through f64 lanes.

use super::log::split;
use super::{all, flip, polynomial};
use crate::simd::{Cast, Floats, Integers, Masks, Simd, Vector};

/// `log2(m) = s P(s²)`, `s = (m - 1)/(m + 1)`, for `m` within √½ ..= √2.
const LOG2: [f64; 7] = [
    2.885390081777927,
    0.9617966939244149,
    0.5770780172254999,
    0.41219840438273253,
    0.32061626010778493,
    0.2614476363137333,
    0.2428814877452231,
];
/// `2^r = P(r)` for `|r| <= 1/2`.
const EXP2: [f64; 8] = [
    0.9999999999595482,
    0.6931471805459305,
    0.24022651213595278,
    0.055504109412154126,
    0.009618025602952121,
    0.0013333450560412074,
    0.0001546973197833081,
    1.5310081137407198e-05,
];

/// `x` to the power `y`, with the special cases of C's `pow`.
#[inline(always)]
pub fn pow<S: Simd>(x: S::F32, y: S::F32) -> S::F32 {
    let (zero, one, infinity) = (all::<S>(0.0), all::<S>(1.0), all::<S>(f32::INFINITY));
    let a = x.abs();
    let r = positive::<S>(a, y);
    let r = S::F32::select(a.eq(one), one, r);
    let down = y.lt(zero);
    let r = S::F32::select(a.eq(zero), S::F32::select(down, infinity, zero), r);
    let r = S::F32::select(a.eq(infinity), S::F32::select(down, zero, infinity), r);

    // x < 0: the sign where y is odd, NaN where it is no integer
    let whole = y.trunc().eq(y);
    let int: S::I32 = y.cast();
    let odd = whole.and(y.abs().lt(all::<S>(16_777_216.0))).and(int.and(S::I32::splat(1)).cast());
    let r = S::F32::select(odd, flip::<S>(r, super::sign::<S>(x)), r);
    let undefined = x.lt(zero).and(whole.not()).and(a.lt(infinity));
    let undefined = undefined.or(x.ne(x)).or(y.ne(y));
    let r = S::F32::select(undefined, all::<S>(f32::NAN), r);
    S::F32::select(x.eq(one).or(y.eq(zero)), one, r)
}

/// `2^(y log2(a))` for finite `a > 0`.
#[inline(always)]
fn positive<S: Simd>(a: S::F32, y: S::F32) -> S::F32 {
    let wide = S::F64::splat;
    let (m, e) = split::<S>(a);
    let (m, e, y): (S::F64, S::F64, S::F64) = (m.cast(), e.cast(), y.cast());
    let s = m.sub(wide(1.0)).div(m.add(wide(1.0)));
    let log = polynomial(s.mul(s), LOG2).mul_add(s, e);
    let p = log.mul(y);
    let p = S::F64::select(p.lt(wide(-152.0)), wide(-152.0), p);
    let p = S::F64::select(p.gt(wide(130.0)), wide(130.0), p);
    let n = p.round();
    let power: S::F32 = polynomial(p.sub(n), EXP2).cast();
    S::scale(power, n.cast())
}
