//! AVX-512.

use super::portable::{Bits, Lanes};
use super::{Memory, Simd, Vector};

/// AVX-512 F, BW, DQ, VL and CD, sixteen lanes.
#[derive(Clone, Copy, Debug)]
pub struct Avx512;

// SAFETY: nothing is overridden.
unsafe impl Memory for Avx512 {
    type Set = Avx512;
}

// SAFETY: 16 lanes; the features are those of [`with_avx512!`](super::with_avx512).
unsafe impl Simd for Avx512 {
    const LANES: usize = 16;
    const NAME: &'static str = "avx512";
    type F32 = Lanes<f32, 16>;
    type F64 = Lanes<f64, 16>;
    type I32 = Lanes<i32, 16>;
    type U32 = Lanes<u32, 16>;
    type I64 = Lanes<i64, 16>;
    type Mask = Bits<16>;
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
