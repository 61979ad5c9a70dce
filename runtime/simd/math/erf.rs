//! The error function and the normal distribution.

use super::exp::{exp, exp_parts_low};
use super::{all, flip, polynomial, sign};
use crate::simd::{Floats, Simd, Vector};

/// `erf(x) = x + x P(x²)` for `|x| < 1`.
const ERF: [f32; 8] = [
    0.12837917,
    -0.37612635,
    0.112837434,
    -0.02686355,
    0.005216406,
    -0.00084232324,
    0.00010858782,
    -8.577_988e-6,
];
/// `1 - erf(x) = exp(-P(x))` for `1 <= x <= 4`.
const ERFC: [f32; 9] = [
    -0.00021116555,
    1.1296968,
    0.6329591,
    0.10874087,
    -0.02545266,
    0.00432094,
    -0.00047530158,
    2.723_941e-5,
    -3.891_430_5e-7,
];
/// `Φ(-t) = exp(-t²/2) P((t - 4)/(t + 4)) / (t + 4)` for `0 <= t <= 14.5`, Φ being the normal distribution.
const TAIL: [f32; 10] = [
    0.75528514,
    -0.60789657,
    0.3871367,
    -0.1865238,
    0.06040504,
    -0.00752338,
    -0.003514679,
    0.00156634,
    0.00017964355,
    -0.00013076937,
];

/// The error function.
#[inline(always)]
pub fn erf<S: Simd>(x: S::F32) -> S::F32 {
    let a = S::clamp(x.abs(), 0.0, 4.0);
    let near = polynomial(a.mul(a), ERF).mul_add(x, x);
    let far = all::<S>(1.0).sub(exp::<S>(polynomial(a, ERFC).neg()));
    S::F32::select(a.lt(all::<S>(1.0)), near, flip::<S>(far, sign::<S>(x)))
}

/// `x Φ(x)`, accurate down to where it is subnormal; the limit −0 at −∞.
#[inline(always)]
pub fn gelu<S: Simd>(x: S::F32) -> S::F32 {
    let t = S::clamp(x.abs(), 0.0, 14.5);
    // exp(-t²/2), with the rounding error of t²/2
    let half = t.mul(all::<S>(-0.5));
    let square = half.mul(t);
    let (s, n) = exp_parts_low::<S>(square, half.mul_add(t, square.neg()));
    // t Φ(-t) = exp(-t²/2) P((t - 4)/(t + 4)) t/(t + 4), where (t - 4)/(t + 4) = 2 t/(t + 4) - 1, so that
    // small t keep their digits
    let q = t.div(t.add(all::<S>(4.0)));
    let p = polynomial(q.mul_add(all::<S>(2.0), all::<S>(-1.0)), TAIL).mul(q);
    // Scaled last, and 0 before that where it is too small for a subnormal: scaling into the subnormals
    // costs a hundred cycles.
    let p = S::F32::select(t.lt(all::<S>(14.5)), p, all::<S>(0.0));
    let part = S::scale(p.mul_add(s, p), n);
    // x >= 0: x Φ(x) = x - t Φ(-t); x < 0: -t Φ(-t)
    S::F32::select(x.lt(all::<S>(0.0)), all::<S>(-0.0), x).sub(part)
}
