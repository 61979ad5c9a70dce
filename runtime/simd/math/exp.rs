//! Exponentials.

use super::{all, polynomial};
use crate::simd::{Floats, Simd, Vector};

/// `exp(r) = 1 + r + r² P(r)` for `|r| <= ln(2)/2`.
const EXP: [f32; 5] = [0.5, 0.16666517, 0.041666456, 0.008369089, 0.0013935758];
/// `2^r = 1 + r P(r)` for `|r| <= 1/2`.
#[expect(clippy::approx_constant, reason = "a fitted coefficient, which happens to be close")]
const EXP2: [f32; 6] = [0.6931472, 0.240_226_5, 0.055503584, 0.009618077, 0.0013391478, 0.000_154_563_58];
/// `exp(r) = 1 + r + r² P(r)` for `|r| <= ln(2)/32`.
const EXP_NEAR: [f32; 2] = [0.500_016_3, 0.166_670_08];
/// `2^(k/16)`.
const POWERS: [f32; 16] = [
    1.0,
    1.044_273_7,
    1.090_507_7,
    1.138_788_6,
    1.189_207_1,
    1.241_857_8,
    1.296_839_6,
    1.354_255_6,
    std::f32::consts::SQRT_2,
    1.476_826_2,
    1.542_210_8,
    1.610_490_3,
    1.681_792_9,
    1.756_252_2,
    1.834_008_1,
    1.915_206_6,
];
/// ln 2 as a sum of two f32.
const LN2: [f32; 2] = [std::f32::consts::LN_2, -1.904_654_2e-9];

/// `(s, n)` with `exp(x) = (1 + s) 2^n`, for `|x| <= 170` and NaN. The result is in two parts so that
/// a factor can be applied before rounding: `y exp(x) = (y s + y) 2^n`.
#[inline(always)]
pub(super) fn exp_parts<S: Simd>(x: S::F32) -> (S::F32, S::F32) {
    let (r, n) = reduced::<S>(x);
    (polynomial(r, EXP).mul_add(r.mul(r), r), n)
}

/// `exp_parts` of `x + low`, where `low` is below the last digit of `x`.
#[inline(always)]
pub(super) fn exp_parts_low<S: Simd>(x: S::F32, low: S::F32) -> (S::F32, S::F32) {
    let (r, n) = reduced::<S>(x);
    let r = r.add(low);
    (polynomial(r, EXP).mul_add(r.mul(r), r), n)
}

/// `x = r + n ln 2`.
#[inline(always)]
fn reduced<S: Simd>(x: S::F32) -> (S::F32, S::F32) {
    // Next to this number floats are whole, so the sum is rounded to a whole number.
    let whole = all::<S>(1.5 * (1 << 23) as f32);
    let n = x.mul_add(all::<S>(std::f32::consts::LOG2_E), whole).sub(whole);
    // The first product cancels without rounding: x and n·LN2[0] are multiples of 2^-25.
    let r = n.mul_add(all::<S>(-LN2[0]), x);
    (n.mul_add(all::<S>(-LN2[1]), r), n)
}

/// exp(LEAST) < 2^-150 rounds to 0.
const LEAST: f32 = -103.98;

/// e to the power `x`; subnormal results are rounded once.
#[inline(always)]
pub fn exp<S: Simd>(x: S::F32) -> S::F32 {
    // exp(89) > MAX
    within::<S>(if S::SCALES_FAR { S::at_most(x, 89.0) } else { S::clamp(x, LEAST, 89.0) })
}

/// `exp(x)` for `x <= 0` and NaN, the same number: without a bound above.
#[inline(always)]
pub fn exp_down<S: Simd>(x: S::F32) -> S::F32 {
    within::<S>(if S::SCALES_FAR { x } else { S::at_least(x, LEAST) })
}

/// `exp(x)` for `x <= 89` and NaN, and `x >= LEAST` unless the instruction set scales far. As `2^⌊n⌋ POWERS[16 n mod
/// 16] exp(r)`, with `x = r + n ln 2` and `n` a multiple of 1/16: fewer and shorter chains of operations than with a
/// polynomial for a whole power of two.
#[inline(always)]
fn within<S: Simd>(x: S::F32) -> S::F32 {
    // Next to this number floats are multiples of 1/16, of which the last bits count the sixteenths.
    let whole = all::<S>(1.5 * (1 << 19) as f32);
    let sum = x.mul_add(all::<S>(std::f32::consts::LOG2_E), whole);
    let n = sum.sub(whole);
    let r = n.mul_add(all::<S>(-LN2[0]), x);
    let r = n.mul_add(all::<S>(-LN2[1]), r);
    let s = polynomial(r, EXP_NEAR).mul_add(r.mul(r), r);
    let power = S::lookup16(&POWERS, S::to_bits(sum));
    // Scaling down to 0 would cost what scaling to a subnormal does, a hundred cycles; 0 itself does not.
    // A NaN stays one: as x, or as the power of two.
    let least = all::<S>(LEAST);
    let some = if S::SCALES_FAR { x.gt(least) } else { x.ne(least) };
    S::scale_floor(S::F32::select(some, s.mul_add(power, power), all::<S>(0.0)), n)
}

/// `exp(x - peak)`, and 0 where `peak` is −∞.
#[inline(always)]
pub fn exp_sub<S: Simd>(x: S::F32, peak: S::F32) -> S::F32 {
    let none = peak.eq(all::<S>(f32::NEG_INFINITY));
    S::F32::select(none, all::<S>(0.0), exp::<S>(x.sub(peak)))
}

/// `exp_sub` for `x <= peak`, or where `peak` is NaN: the same number.
#[inline(always)]
pub fn exp_below<S: Simd>(x: S::F32, peak: S::F32) -> S::F32 {
    // x is −∞ too, where the peak is.
    let none = peak.eq(all::<S>(f32::NEG_INFINITY));
    exp_down::<S>(x.sub(S::F32::select(none, all::<S>(0.0), peak)))
}

/// 2 to the power `x`; subnormal results are rounded once.
#[inline(always)]
pub fn exp2<S: Simd>(x: S::F32) -> S::F32 {
    let x = S::clamp(x, -151.0, 129.0);
    let n = x.round();
    let r = x.sub(n);
    S::scale(polynomial(r, EXP2).mul_add(r, all::<S>(1.0)), n)
}
