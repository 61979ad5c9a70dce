//! The error function and the normal distribution.

use super::exp::{exp, exp_parts_low};
use super::{all, flip, polynomial, sign};
use crate::simd::{Floats, Masks, Simd, Vector};

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
/// `t Φ(-t) = exp(-t²/2) P(1/t²)` for `3.75 <= t <= 14.5`, Φ being the normal distribution.
const TAIL: [f32; 7] = [0.39894223, -0.39892262, 1.193934, -5.775551, 33.4099, -163.31363, 422.67328];

/// `Φ(-k/2 - s) = Σ s^d PIECES[d][k]` for `|s| <= 1/4`.
const PIECES: [[f32; 8]; 9] = [
    [0.5, 0.30853754, 0.15865526, 0.0668072, 0.022750132, 0.0062096654, 0.001349898, 0.00023262909],
    [
        -0.3989423,
        -0.35206532,
        -0.24197072,
        -0.1295176,
        -0.053990968,
        -0.017528301,
        -0.0044318484,
        -0.0008726827,
    ],
    [1.7943647e-08, 0.08801547, 0.120984904, 0.09713785, 0.053991005, 0.021910354, 0.006647768, 0.0015271937],
    [
        0.06649146,
        0.04400798,
        -6.307515e-07,
        -0.026982399,
        -0.026995383,
        -0.0153372,
        -0.00590913,
        -0.0016362767,
    ],
    [
        -1.7192772e-06,
        -0.02012094,
        -0.020137517,
        -0.006052398,
        0.004496916,
        0.005935105,
        0.003324139,
        0.0011772605,
    ],
    [
        -0.010002873,
        -0.0045791077,
        0.0040498716,
        0.005856382,
        0.002246991,
        -0.0006682084,
        -0.0011080294,
        -0.00057872606,
    ],
    [
        4.710395e-05,
        0.0020212082,
        0.0014415334,
        -0.001041188,
        -0.0012982474,
        -0.00053308945,
        0.00010564806,
        0.00017970345,
    ],
    [
        0.0014208562,
        0.00028366636,
        -0.0009020561,
        -0.0004504479,
        0.00013660915,
        0.0002764615,
        8.558162e-05,
        -1.9852816e-05,
    ],
    [
        -0.00039049523,
        0.0070930575,
        0.0039948593,
        0.002812184,
        -0.00026076366,
        9.755164e-05,
        -8.107794e-06,
        -4.8937063e-06,
    ],
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
    let t = x.abs();
    let near = t.lt(all::<S>(3.75));
    let y = near_gate::<S>(x, &PIECES, Steps::Halves);
    if near.all() {
        return y;
    }
    let whole = S::F32::select(x.lt(all::<S>(0.0)), all::<S>(-0.0), x);
    S::F32::select(near, y, whole.sub(far_part::<S>(t)))
}

/// How far the middles of pieces are apart.
#[derive(Clone, Copy)]
pub(super) enum Steps {
    /// Seven pieces reach to 3.75.
    Halves,
    /// Seven pieces reach to 7.5.
    Ones,
}

/// `x Φ(x)` for small `|x|` and a symmetric `Φ`, of which there is a polynomial around each multiple of a step:
/// `Φ(-k·step - s) = Σ s^d pieces[d][k]` for `|s| <= step/2`.
#[inline(always)]
pub(super) fn near_gate<S: Simd>(x: S::F32, pieces: &[[f32; 8]; 9], steps: Steps) -> S::F32 {
    let t = x.abs();
    // Floats of this size are a step apart: the sum is rounded to steps, counted by its last bits.
    let shift = all::<S>(match steps {
        Steps::Halves => (3 << 21) as f32,
        Steps::Ones => (3 << 22) as f32,
    });
    let middle = t.add(shift);
    let s = t.sub(middle.sub(shift));
    let k = S::to_bits(middle);
    let mut tail = S::lookup(&pieces[8], k);
    for row in pieces[..8].iter().rev() {
        tail = tail.mul_add(s, S::lookup(row, k));
    }
    // x >= 0: x Φ(x) = x - t Φ(-t); x < 0: -t Φ(-t)
    let whole = S::F32::select(x.lt(all::<S>(0.0)), all::<S>(-0.0), x);
    tail.neg().mul_add(t, whole)
}

/// `x · 2^n` rounded once, for `x >= 0` and `n >= -160`, at the same speed where that is subnormal: a
/// multiplication that gives a subnormal takes a hundred cycles longer.
#[inline(always)]
fn scale_far<S: Simd>(x: S::F32, n: S::F32) -> S::F32 {
    // In units of the smallest subnormal. Next to 2²³ floats are one apart, and their bits count them, as do
    // those of subnormals.
    let count = S::scale(x, n.add(all::<S>(149.0)));
    let one = all::<S>((1 << 23) as f32);
    let is_subnormal = count.lt(one);
    let subnormal = S::from_bits(S::to_bits(count.add(one)).sub(S::to_bits(one)));
    let normal = S::scale(x, S::F32::select(is_subnormal, all::<S>(0.0), n));
    S::F32::select(is_subnormal, subnormal, normal)
}

/// `t Φ(-t)` for `t >= 3.75`.
#[inline(always)]
fn far_part<S: Simd>(t: S::F32) -> S::F32 {
    let t = S::clamp(t, 3.75, 14.5);
    // exp(-t²/2), with the rounding error of t²/2
    let half = t.mul(all::<S>(-0.5));
    let square = half.mul(t);
    let (s, n) = exp_parts_low::<S>(square, half.mul_add(t, square.neg()));
    let inverse = t.recip();
    let p = polynomial(inverse.mul(inverse), TAIL);
    let p = S::F32::select(t.lt(all::<S>(14.5)), p, all::<S>(0.0));
    scale_far::<S>(p.mul_add(s, p), n)
}
