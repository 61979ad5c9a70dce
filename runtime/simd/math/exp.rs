//! Exponentials.

use super::{all, polynomial};
use crate::simd::{Floats, Integers, Simd, Vector};

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
/// `POWERS` as bits, each less what its `k` is in bits of a float's exponent and mantissa: `POWERS_LESS[k] + (k << 19)`.
const POWERS_LESS: [f32; 16] = {
    let mut less = POWERS;
    let mut k = 0;
    while k < 16 {
        less[k] = f32::from_bits(POWERS[k].to_bits() - ((k as u32) << 19));
        k += 1;
    }
    less
};
/// ln 2 as a sum of two f32.
pub(super) const LN2: [f32; 2] = [std::f32::consts::LN_2, -1.904_654_2e-9];

/// `(s, n)` with `exp(x) = (1 + s) 2^n`, for `|x| <= 170` and NaN. The result is in two parts so that
/// a factor can be applied before rounding: `y exp(x) = (y s + y) 2^n`.
#[inline(always)]
pub(super) fn exp_parts<S: Simd>(x: S::F32) -> (S::F32, S::F32) {
    let (r, n) = reduced::<S>(x);
    (exp_near::<S>(r), n)
}

/// `exp(r) - 1` for `|r| <= ln(2)/2`.
#[inline(always)]
pub(super) fn exp_near<S: Simd>(r: S::F32) -> S::F32 {
    polynomial(r, EXP).mul_add(r.mul(r), r)
}

/// `exp_parts` of `x + low`, where `low` is below the last digit of `x`.
#[inline(always)]
pub(super) fn exp_parts_low<S: Simd>(x: S::F32, low: S::F32) -> (S::F32, S::F32) {
    let (r, n) = reduced::<S>(x);
    let r = r.add(low);
    (exp_near::<S>(r), n)
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

/// exp(LEAST) < 2^-150 rounds to 0. Scaling down to 0 would cost what scaling to a subnormal does, a hundred cycles; 0
/// itself does not.
const LEAST: f32 = -103.98;

/// e to the power `x`; subnormal results are rounded once.
#[inline(always)]
pub fn exp<S: Simd>(x: S::F32) -> S::F32 {
    // exp(89) > MAX
    let x = S::at_most(x, 89.0);
    if S::SCALES_FAR {
        return scaled::<S>(x);
    }
    // The power is 2^31 times as large where x is negative, half as large elsewhere: never subnormal, nor infinite.
    let up = S::to_bits(x).and(S::I32::splat(i32::MIN)).shr(S::I32::splat(3)).and(S::I32::splat(32 << 23));
    let down = S::from_bits(S::I32::splat(128 << 23).sub(up));
    S::zero_below(x, LEAST, near::<S>(x).times_power(up.sub(S::I32::splat(1 << 23)))).mul(down)
}

/// `exp(x)` for `x <= 0` and NaN, the same number: without a bound above.
#[inline(always)]
pub fn exp_down<S: Simd>(x: S::F32) -> S::F32 {
    if S::SCALES_FAR {
        return scaled::<S>(x);
    }
    let up = S::I32::splat(32 << 23);
    S::zero_below(x, LEAST, near::<S>(x).times_power(up)).mul(all::<S>(2f32.powi(-32)))
}

/// `exp(x) = (1 + s) 2^n`, `n` a multiple of 1/16 that the last four bits of `count` are sixteenths of, and those above
/// them whole numbers: fewer and shorter chains of operations than with a polynomial for a whole power of two.
struct Near<S: Simd> {
    s: S::F32,
    n: S::F32,
    count: S::I32,
}

#[inline(always)]
fn near<S: Simd>(x: S::F32) -> Near<S> {
    let (r, n, count) = sixteenths::<S>(x);
    Near::new(n.mul_add(all::<S>(-LN2[1]), r), n, count)
}

/// Next to this number floats are multiples of 1/16, of which the last bits count the sixteenths.
const SIXTEENTHS: f32 = 1.5 * (1 << 19) as f32;

/// `r`, `n` and `count` with `x = r + n ln 2`, but for what `n` times the rest of ln 2 adds to `r`.
#[inline(always)]
fn sixteenths<S: Simd>(x: S::F32) -> (S::F32, S::F32, S::I32) {
    sixteenths_from::<S>(x, all::<S>(SIXTEENTHS))
}

/// [`sixteenths`], counted from a whole number: `from` is [`SIXTEENTHS`] less that.
#[inline(always)]
fn sixteenths_from<S: Simd>(x: S::F32, from: S::F32) -> (S::F32, S::F32, S::I32) {
    let sum = x.mul_add(all::<S>(std::f32::consts::LOG2_E), from);
    let n = sum.sub(from);
    (n.mul_add(all::<S>(-LN2[0]), x), n, S::to_bits(sum))
}

/// `exp(x)` for `x <= 89` and NaN, with a set of instructions that scales far.
#[inline(always)]
fn scaled<S: Simd>(x: S::F32) -> S::F32 {
    let Near { s, n, count } = near::<S>(x);
    let power = S::lookup16(&POWERS, count);
    // A NaN stays one as the power of two.
    let some = x.gt(all::<S>(LEAST));
    S::scale_floor(S::F32::select(some, s.mul_add(power, power), all::<S>(0.0)), n)
}

impl<S: Simd> Near<S> {
    /// Of `r + n ln 2`.
    #[inline(always)]
    fn new(r: S::F32, n: S::F32, count: S::I32) -> Self {
        Near { s: polynomial(r, EXP_NEAR).mul_add(r.mul(r), r), n, count }
    }

    /// `(1 + s) 2^n`, `more` added to the bits of the power.
    #[inline(always)]
    fn times_power(self, more: S::I32) -> S::F32 {
        let power = S::from_bits(power_bits::<S>(self.count).add(more));
        self.s.mul_add(power, power)
    }
}

/// The bits of `2^n`: sixteenths are looked up, whole powers are added to the exponent.
#[inline(always)]
fn power_bits<S: Simd>(count: S::I32) -> S::I32 {
    S::to_bits(S::lookup16(&POWERS_LESS, count)).add(count.shl(S::I32::splat(19)))
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
    exp_down::<S>(less_peak::<S>(x, peak))
}

/// `x - peak` for `x <= peak`, or NaN: −∞ where both are.
#[inline(always)]
fn less_peak<S: Simd>(x: S::F32, peak: S::F32) -> S::F32 {
    let none = peak.eq(all::<S>(f32::NEG_INFINITY));
    x.sub(S::F32::select(none, all::<S>(0.0), peak))
}

/// exp(LEAST_TERM) > 2^-126
const LEAST_TERM: f32 = -87.0;

/// `exp(x)` for `x <= 0` and NaN, as a term of a sum that has 1 in it: 0 below [`LEAST_TERM`], and without the rest of
/// ln 2, which `n` times is less than `2^-28 |x|` of itself, and so less than 2^-29.
#[inline(always)]
pub fn exp_term<S: Simd>(x: S::F32) -> S::F32 {
    let (r, n, count) = sixteenths::<S>(x);
    S::zero_below(x, LEAST_TERM, Near::<S>::new(r, n, count).times_power(S::I32::splat(0)))
}

/// `sum + exp(x) 2^-k`, and `sum` where `x < least`, for a whole `|k| < 2^17`. From `least` on the term must be a normal
/// number. It is without the rest of ln 2, so times `exp(n LN2[1])`.
#[inline(always)]
pub(super) fn add_shifted<S: Simd>(sum: S::F32, x: S::F32, k: S::F32, least: f32) -> S::F32 {
    let (r, n, count) = sixteenths_from::<S>(x, all::<S>(SIXTEENTHS).sub(k));
    if S::ADDS_SOME_PRODUCTS {
        // `1 + s` is rounded, where else its product with the power is.
        let near = polynomial(r, [1.0, 1.0, EXP_NEAR[0], EXP_NEAR[1]]);
        return S::add_product_from(x, least, sum, [near, S::from_bits(power_bits::<S>(count))]);
    }
    sum.add(S::zero_below(x, least, Near::<S>::new(r, n, count).times_power(S::I32::splat(0))))
}

/// [`exp_below`] as a term of a sum that has 1 in it unless `peak` is −∞.
#[inline(always)]
pub fn exp_sub_term<S: Simd>(x: S::F32, peak: S::F32) -> S::F32 {
    exp_term::<S>(less_peak::<S>(x, peak))
}

/// 2 to the power `x`; subnormal results are rounded once.
#[inline(always)]
pub fn exp2<S: Simd>(x: S::F32) -> S::F32 {
    let x = S::clamp(x, -151.0, 129.0);
    let n = x.round();
    let r = x.sub(n);
    S::scale(polynomial(r, EXP2).mul_add(r, all::<S>(1.0)), n)
}
