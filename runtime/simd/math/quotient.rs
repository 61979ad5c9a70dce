//! Quotients with one divisor.

use super::all;
use crate::simd::{Floats, Simd, Vector};

/// `x / by` as `x · (1 / by)`, where the reciprocal is a sum of two f32: one rounding, of a number that is within
/// 2⁻⁴⁸ of the quotient. (Brisebarre, Muller, Raina, "Accelerating correctly rounded floating-point division when
/// the divisor is known in advance", IEEE Transactions on Computers, 2004.) So it is the rounded quotient but for one
/// in some millions (below 1e-35 more), which is its neighbour.
#[inline(always)]
pub fn divide_by<S: Simd>(x: S::F32, by: f32) -> S::F32 {
    // Neither part of the reciprocal is subnormal.
    if !(1e-20..=1e20).contains(&by.abs()) {
        return x.div(all::<S>(by));
    }
    let reciprocal = 1.0 / f64::from(by);
    // Cut off, so that both parts have the same sign: their products with infinities and zeros then add up to these.
    let cut = f64::from_bits(reciprocal.to_bits() >> 29 << 29);
    let rest = if reciprocal == cut { cut * 2f64.powi(-60) } else { reciprocal - cut };
    x.mul_add(all::<S>(cut as f32), x.mul(all::<S>(rest as f32)))
}
