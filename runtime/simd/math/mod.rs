//! Mathematical functions, written once over the vector operations.
//!
//! Every f32 function is evaluated in f32 lanes with fused multiply-add, except `pow`, which goes
//! through f64 lanes. Results are the same on all instruction sets, but for what [`Window`] adds.
//!
//! The reductions are Cody and Waite's ("Software Manual for the Elementary Functions", 1980), with
//! the constants split for fused multiply-add; the tail of the normal distribution is `exp(-t²/2)` times a
//! polynomial in `1/t²`, as its asymptotic series is. Where an exponential's argument is large (gelu), its rounding error is carried
//! along. The coefficients are from `derive.py`. `sin` and `cos` beyond 60 000 go through the standard
//! library's f64, lane by lane, and so do all f64 functions.
//!
//! Largest errors found, in units of the last place, over every 4001st of all f32 (subnormal arguments
//! and results too; `tests/accuracy.rs` holds them):
//!
//! ```text
//! exp  0.96   ln   0.75   sin  1.56   tanh 1.33   sigmoid   1.16   silu  1.68   sqrt  0.5
//! exp2 0.77   log2 0.88   cos  1.49   erf  0.84   gelu_tanh 1.99   gelu  1.76   recip 0.5   rsqrt 1.48
//! ```

pub(crate) mod double;
mod erf;
mod exp;
mod log;
mod pow;
mod quotient;
mod sigmoid;
mod trigonometry;
mod window;

pub use quotient::divide_by;
pub use window::Window;

use super::{Floats, Integers, Simd, Vector};

/// The functions on the f32 vector of an instruction set.
pub(crate) mod single {
    pub use super::erf::{erf, gelu};
    pub use super::exp::{exp, exp_below, exp_down, exp_sub, exp_sub_term, exp_term, exp2};
    pub use super::log::{ln, log2};
    pub use super::pow::pow;
    pub use super::sigmoid::{gelu_tanh, sigmoid, silu, tanh};
    pub use super::trigonometry::{cos, sin};
}

/// The methods of `Floats` that are mathematical functions, for the f32 vector of an instruction set.
macro_rules! f32_functions {
    ($S:ty) => {
        $crate::simd::math::f32_functions!($S: exp exp_down exp_term exp2 ln log2 sin cos tanh erf sigmoid gelu gelu_tanh silu);
        #[inline(always)]
        fn exp_sub(self, peak: Self) -> Self {
            $crate::simd::math::single::exp_sub::<$S>(self, peak)
        }
        #[inline(always)]
        fn exp_below(self, peak: Self) -> Self {
            $crate::simd::math::single::exp_below::<$S>(self, peak)
        }
        #[inline(always)]
        fn exp_sub_term(self, peak: Self) -> Self {
            $crate::simd::math::single::exp_sub_term::<$S>(self, peak)
        }
        #[inline(always)]
        fn pow(self, exponent: Self) -> Self {
            $crate::simd::math::single::pow::<$S>(self, exponent)
        }
    };
    ($S:ty: $($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            $crate::simd::math::single::$name::<$S>(self)
        }
    )*};
}
pub(crate) use f32_functions;

/// `Σ coefficients[k] x^k` by Horner's rule.
#[inline(always)]
fn polynomial<V: Floats, const N: usize>(x: V, coefficients: [V::Scalar; N]) -> V {
    let mut sum = V::splat(coefficients[N - 1]);
    for k in (0..N - 1).rev() {
        sum = sum.mul_add(x, V::splat(coefficients[k]));
    }
    sum
}

/// All lanes `x`.
#[inline(always)]
fn all<S: Simd>(x: f32) -> S::F32 {
    S::F32::splat(x)
}

/// The sign bit of each lane.
#[inline(always)]
fn sign<S: Simd>(x: S::F32) -> S::I32 {
    S::to_bits(x).and(S::I32::splat(i32::MIN))
}

/// `x` with its sign flipped where `sign` has the bit.
#[inline(always)]
fn flip<S: Simd>(x: S::F32, sign: S::I32) -> S::F32 {
    S::from_bits(S::to_bits(x).xor(sign))
}
