//! f32 functions.

use super::double;
use crate::simd::{Simd, Vector};

macro_rules! through_f64 {
    ($($name:ident = $f:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Simd>(x: S::F32) -> S::F32 {
            S::F32::from_lanes(|i| $f(f64::from(x.lane(i))) as f32)
        }
    )*};
}
through_f64! {
    exp = f64::exp;
    exp2 = f64::exp2;
    ln = f64::ln;
    log2 = f64::log2;
    sin = f64::sin;
    cos = f64::cos;
    tanh = f64::tanh;
    erf = double::erf;
    sigmoid = double::sigmoid;
    gelu = double::gelu;
    gelu_tanh = double::gelu_tanh;
    silu = double::silu;
}

/// `exp(x - peak)`, and 0 where `peak` is −∞.
#[inline(always)]
pub fn exp_sub<S: Simd>(x: S::F32, peak: S::F32) -> S::F32 {
    let none = peak.eq(S::F32::splat(f32::NEG_INFINITY));
    S::F32::select(none, S::F32::splat(0.0), exp::<S>(x.sub(peak)))
}

/// `x` to the power `y`.
#[inline(always)]
pub fn pow<S: Simd>(x: S::F32, y: S::F32) -> S::F32 {
    S::F32::from_lanes(|i| f64::from(x.lane(i)).powf(f64::from(y.lane(i))) as f32)
}
