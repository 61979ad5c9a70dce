//! AVX2.

use super::portable::{Bits, Lanes};
use super::{Memory, Simd, Vector};

/// AVX2 with FMA and F16C, eight lanes.
#[derive(Clone, Copy, Debug)]
pub struct Avx2;

// SAFETY: nothing is overridden.
unsafe impl Memory for Avx2 {
    type Set = Avx2;
}

// SAFETY: 8 lanes; the features are those of [`with_avx2!`](super::with_avx2).
unsafe impl Simd for Avx2 {
    const LANES: usize = 8;
    const NAME: &'static str = "avx2";
    type F32 = Lanes<f32, 8>;
    type F64 = Lanes<f64, 8>;
    type I32 = Lanes<i32, 8>;
    type U32 = Lanes<u32, 8>;
    type I64 = Lanes<i64, 8>;
    type Mask = Bits<8>;
    #[inline(always)]
    fn iota(first: i32) -> Self::I32 {
        Lanes::from_lanes(|i| first.wrapping_add(i as i32))
    }
    #[inline(always)]
    fn to_bits(x: Self::F32) -> Self::I32 {
        Lanes::from_lanes(|i| x.0[i].to_bits() as i32)
    }
    #[inline(always)]
    fn from_bits(bits: Self::I32) -> Self::F32 {
        Lanes::from_lanes(|i| f32::from_bits(bits.0[i] as u32))
    }
}
