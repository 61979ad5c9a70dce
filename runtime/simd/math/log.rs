//! Logarithms.

use super::{all, polynomial};
use crate::simd::{Cast, Floats, Integers, Masks, Simd, Vector};

/// `ln(1 + f) = f + f² P(f)` for `1 + f` within √½ ..= √2.
const LN: [f32; 9] = [
    -0.49999988,
    0.33333325,
    -0.250016,
    0.2000201,
    -0.16608776,
    0.14180921,
    -0.13244198,
    0.12910563,
    -0.07626916,
];
/// `log2(1 + f) = f (LOG2_E[0] + LOG2_E[1]) + f² P(f)`.
const LOG2: [f32; 9] = [
    -0.72134733,
    0.4808982,
    -0.36069787,
    0.28857022,
    -0.2395964,
    0.20454127,
    -0.19115219,
    0.18655,
    -0.110205784,
];
const LN2: [f32; 2] = [std::f32::consts::LN_2, -1.904_654_2e-9];
const LOG2_E: [f32; 2] = [std::f32::consts::LOG2_E, 1.925_963e-8];

/// `(m, e)` with `x = m 2^e` and `m` within √½ ..= √2, for finite `x > 0`, subnormal ones too.
#[inline(always)]
pub(super) fn split<S: Simd>(x: S::F32) -> (S::F32, S::F32) {
    let int = S::I32::splat;
    let sqrt_half = int(0x3F35_04F3);
    let small = x.lt(all::<S>(f32::MIN_POSITIVE));
    let x = S::F32::select(small, x.mul(all::<S>(8_388_608.0)), x);
    let bits = S::to_bits(x).sub(sqrt_half);
    let e: S::F32 = bits.shr(int(23)).cast();
    let e = S::F32::select(small, e.sub(all::<S>(23.0)), e);
    (S::from_bits(bits.and(int(0x007F_FFFF)).add(sqrt_half)), e)
}

/// `y`, but what a logarithm is of 0, ∞, negative numbers and NaN.
#[inline(always)]
fn edges<S: Simd>(x: S::F32, y: S::F32) -> S::F32 {
    let infinity = all::<S>(f32::INFINITY);
    let zero = all::<S>(0.0);
    let y = S::F32::select(x.lt(infinity), y, x);
    let y = S::F32::select(x.gt(zero).or(x.ne(x)), y, all::<S>(f32::NAN));
    S::F32::select(x.eq(zero), all::<S>(f32::NEG_INFINITY), y)
}

/// The natural logarithm.
#[inline(always)]
pub fn ln<S: Simd>(x: S::F32) -> S::F32 {
    let (m, e) = split::<S>(x);
    let f = m.sub(all::<S>(1.0));
    let y = polynomial(f, LN).mul(f).mul_add(f, e.mul(all::<S>(LN2[1])));
    edges::<S>(x, e.mul_add(all::<S>(LN2[0]), f.add(y)))
}

/// The logarithm to base 2; exact at powers of 2.
#[inline(always)]
pub fn log2<S: Simd>(x: S::F32) -> S::F32 {
    let (m, e) = split::<S>(x);
    let f = m.sub(all::<S>(1.0));
    let y = f.mul_add(all::<S>(LOG2_E[1]), polynomial(f, LOG2).mul(f).mul(f));
    edges::<S>(x, e.add(f.mul_add(all::<S>(LOG2_E[0]), y)))
}
