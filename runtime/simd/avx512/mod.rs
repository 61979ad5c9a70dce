//! AVX-512: one register for 16 lanes of 32 bits, mask registers for truth values.

mod casts;
mod f32x16;
mod f64x16;
mod i32x16;
mod memory;

pub use f32x16::F32x16;
pub use f64x16::F64x16;
pub use i32x16::{I32x16, U32x16};

use super::portable::{Bits, Lanes};
use super::{Simd, Vector};
use std::arch::x86_64::*;

/// AVX-512 F, BW, DQ, VL and CD, sixteen lanes.
#[derive(Clone, Copy, Debug)]
pub struct Avx512;

/// An expression of intrinsics.
macro_rules! intrinsic {
    ($value:expr) => {
        // SAFETY: the contract of `Simd`: values of these types are only made and used where the
        // target features of `Avx512` are enabled; no memory is touched except arrays of 16 lanes.
        unsafe { $value }
    };
}
use intrinsic;

// SAFETY: 16 lanes; the features are those of [`with_avx512!`](super::with_avx512).
unsafe impl Simd for Avx512 {
    const LANES: usize = 16;
    const NAME: &'static str = "avx512";
    type F32 = F32x16;
    type F64 = F64x16;
    type I32 = I32x16;
    type U32 = U32x16;
    type I64 = Lanes<i64, 16>;
    type Mask = Bits<16>;
    #[inline(always)]
    fn iota(first: i32) -> I32x16 {
        let steps = intrinsic!(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        I32x16::splat(first).add(I32x16(steps))
    }
    #[inline(always)]
    fn to_bits(x: F32x16) -> I32x16 {
        I32x16(intrinsic!(_mm512_castps_si512(x.0)))
    }
    #[inline(always)]
    fn from_bits(bits: I32x16) -> F32x16 {
        F32x16(intrinsic!(_mm512_castsi512_ps(bits.0)))
    }
    #[inline(always)]
    fn scale(x: F32x16, n: F32x16) -> F32x16 {
        F32x16(intrinsic!(_mm512_scalef_ps(x.0, n.0)))
    }
    const HAS_ROOM_FOR_FOUR: bool = true;
    const SCALES_FAR: bool = true;
    #[inline(always)]
    fn scale_floor(x: F32x16, n: F32x16) -> F32x16 {
        Self::scale(x, n)
    }
    #[inline(always)]
    fn lookup16(table: &[f32; 16], index: I32x16) -> F32x16 {
        // Four bits of an index count.
        F32x16(intrinsic!(_mm512_permutexvar_ps(index.0, _mm512_loadu_ps(table.as_ptr()))))
    }
    #[inline(always)]
    fn lookup(table: &[f32; 8], index: I32x16) -> F32x16 {
        // Four bits of an index count: the table twice.
        F32x16(intrinsic!({
            let table = _mm512_broadcast_f32x8(_mm256_loadu_ps(table.as_ptr()));
            _mm512_permutexvar_ps(index.0, table)
        }))
    }
    #[inline(always)]
    fn zero_below(x: F32x16, least: f32, y: F32x16) -> F32x16 {
        // Not below: one comparison, also where `least` is not known to be a number.
        F32x16(intrinsic!(_mm512_maskz_mov_ps(
            _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x.0, _mm512_set1_ps(least)),
            y.0
        )))
    }
    const ADDS_SOME_PRODUCTS: bool = true;
    #[inline(always)]
    fn add_product_from(x: F32x16, least: f32, sum: F32x16, [a, b]: [F32x16; 2]) -> F32x16 {
        // As in `zero_below`.
        F32x16(intrinsic!(_mm512_mask3_fmadd_ps(
            a.0,
            b.0,
            sum.0,
            _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x.0, _mm512_set1_ps(least))
        )))
    }
    #[inline(always)]
    fn at_most(x: F32x16, high: f32) -> F32x16 {
        // The second operand is the result where either is NaN.
        F32x16(intrinsic!(_mm512_min_ps(_mm512_set1_ps(high), x.0)))
    }
    #[inline(always)]
    fn at_least(x: F32x16, low: f32) -> F32x16 {
        // As in `at_most`.
        F32x16(intrinsic!(_mm512_max_ps(_mm512_set1_ps(low), x.0)))
    }
}
