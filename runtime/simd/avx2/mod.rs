//! AVX2: one register for 8 lanes of 32 bits; truth values are bits, widened where lanes are selected.

mod casts;
mod f32x8;
mod f64x8;
mod i32x8;
mod memory;

pub use f32x8::F32x8;
pub use f64x8::F64x8;
pub use i32x8::{I32x8, U32x8};

use super::portable::{Bits, Lanes};
use super::{Simd, Vector};
use std::arch::x86_64::*;

/// AVX2 with FMA and F16C, eight lanes.
#[derive(Clone, Copy, Debug)]
pub struct Avx2;

/// An expression of intrinsics.
macro_rules! intrinsic {
    ($value:expr) => {
        // SAFETY: the contract of `Simd`: values of these types are only made and used where the
        // target features of `Avx2` are enabled; no memory is touched except arrays of 8 lanes.
        unsafe { $value }
    };
}
use intrinsic;

// SAFETY: 8 lanes; the features are those of [`with_avx2!`](super::with_avx2).
unsafe impl Simd for Avx2 {
    const LANES: usize = 8;
    const NAME: &'static str = "avx2";
    type F32 = F32x8;
    type F64 = F64x8;
    type I32 = I32x8;
    type U32 = U32x8;
    type I64 = Lanes<i64, 8>;
    type Mask = Bits<8>;
    #[inline(always)]
    fn iota(first: i32) -> I32x8 {
        let steps = intrinsic!(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        I32x8::splat(first).add(I32x8(steps))
    }
    #[inline(always)]
    fn to_bits(x: F32x8) -> I32x8 {
        I32x8(intrinsic!(_mm256_castps_si256(x.0)))
    }
    #[inline(always)]
    fn from_bits(bits: I32x8) -> F32x8 {
        F32x8(intrinsic!(_mm256_castsi256_ps(bits.0)))
    }
    #[inline(always)]
    fn lookup(table: &[f32; 8], index: I32x8) -> F32x8 {
        // Three bits of an index count.
        F32x8(intrinsic!(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr()), index.0)))
    }
    #[inline(always)]
    fn lookup16(table: &[f32; 16], index: I32x8) -> F32x8 {
        F32x8(intrinsic!({
            let [low, high] = [0, 8].map(|at| _mm256_loadu_ps(table.as_ptr().add(at)));
            let [low, high] = [low, high].map(|half| _mm256_permutevar8x32_ps(half, index.0));
            // The sign of each lane chooses: the fourth bit of an index.
            _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index.0)))
        }))
    }
    #[inline(always)]
    fn zero_below(x: F32x8, least: f32, y: F32x8) -> F32x8 {
        // All bits of a lane or none.
        F32x8(intrinsic!(_mm256_and_ps(y.0, _mm256_cmp_ps::<_CMP_NLT_UQ>(x.0, _mm256_set1_ps(least)))))
    }
    #[inline(always)]
    fn at_most(x: F32x8, high: f32) -> F32x8 {
        // The second operand is the result where either is NaN.
        F32x8(intrinsic!(_mm256_min_ps(_mm256_set1_ps(high), x.0)))
    }
    #[inline(always)]
    fn at_least(x: F32x8, low: f32) -> F32x8 {
        // As in `at_most`.
        F32x8(intrinsic!(_mm256_max_ps(_mm256_set1_ps(low), x.0)))
    }
}

/// All bits of the 32-bit lanes whose bit is set.
#[inline(always)]
fn widen(mask: Bits<8>) -> __m256i {
    intrinsic!({
        let bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(i32::from(mask.0)), bit), bit)
    })
}
