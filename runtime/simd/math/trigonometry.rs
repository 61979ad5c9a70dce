//! Sine and cosine.

use super::{all, flip, polynomial};
use crate::simd::{Cast, Floats, Integers, Masks, Simd, Vector};

/// `sin(r) = r + r³ P(r²)` for `|r| <= π/4`.
const SIN: [f32; 4] = [-0.16666667, 0.008333373, -0.00019850302, 2.8045026e-6];
/// `cos(r) = 1 - r²/2 + r⁴ P(r²)`.
const COS: [f32; 4] = [0.041666668, -0.0013888974, 2.4819741e-5, -2.866249e-7];
/// π/2 as a sum of three f32.
const HALF_PI: [f32; 3] = [std::f32::consts::FRAC_PI_2, -4.371_139e-8, -1.715_124_5e-15];
/// Beyond this, each lane goes through the standard library's f64.
const FAR: f32 = 60_000.0;

/// The sine.
#[inline(always)]
pub fn sin<S: Simd>(x: S::F32) -> S::F32 {
    let y = quarter_turns::<S>(x, 0);
    // sin(x) -> x, keeping the sign of 0
    let y = S::F32::select(x.abs().lt(all::<S>(1.0 / 4096.0)), x, y);
    far::<S>(x, y, f64::sin)
}

/// The cosine.
#[inline(always)]
pub fn cos<S: Simd>(x: S::F32) -> S::F32 {
    far::<S>(x, quarter_turns::<S>(x, 1), f64::cos)
}

/// `sin(x + turns π/2)` for `|x| <= FAR`.
#[inline(always)]
fn quarter_turns<S: Simd>(x: S::F32, turns: i32) -> S::F32 {
    let n = x.mul(all::<S>(std::f32::consts::FRAC_2_PI)).round();
    let r = HALF_PI.iter().fold(x, |r, &part| n.mul_add(all::<S>(-part), r));
    let z = r.mul(r);
    let sin = polynomial(z, SIN).mul(z).mul_add(r, r);
    let cos = polynomial(z, COS).mul_add(z.mul(z), z.mul_add(all::<S>(-0.5), all::<S>(1.0)));
    let n: S::I32 = n.cast();
    let quarter = n.add(S::I32::splat(turns));
    let odd: S::Mask = quarter.and(S::I32::splat(1)).cast();
    let negative = quarter.and(S::I32::splat(2)).shl(S::I32::splat(30));
    flip::<S>(S::F32::select(odd, cos, sin), negative)
}

/// `y`, but `f` where `x` is large, ∞ or NaN.
#[inline(always)]
fn far<S: Simd>(x: S::F32, y: S::F32, f: fn(f64) -> f64) -> S::F32 {
    let near = x.abs().le(all::<S>(FAR));
    if near.all() {
        return y;
    }
    S::F32::from_lanes(|i| if near.lane(i) { y.lane(i) } else { f(f64::from(x.lane(i))) as f32 })
}
