//! Loads and stores, masked ones for parts.

use super::{Avx512, F32x16, F64x16, I32x16, U32x16};
use crate::simd::Memory;
use half::f16;
use std::arch::x86_64::*;

/// Lanes `< n`.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    if n >= 16 { u16::MAX } else { (1 << n) - 1 }
}

macro_rules! memory {
    ($($load:ident $store:ident: $T:ident = $V:ident, |$p:ident, $mask:ident| $loaded:expr,
        |$q:ident, $x:ident, $keep:ident| $stored:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $load(from: *const $T, n: usize) -> $V {
            let ($p, $mask) = (from.cast(), first(n));
            // SAFETY: the features are enabled (`Simd`); masked lanes are not touched.
            $V(unsafe { $loaded })
        }
        #[inline(always)]
        unsafe fn $store(to: *mut $T, lanes: $V, n: usize) {
            let ($q, $x, $keep) = (to.cast(), lanes.0, first(n));
            // SAFETY: the features are enabled (`Simd`); masked lanes are not touched.
            unsafe { $stored }
        }
    )*};
}

// SAFETY: masked loads and stores touch the first `n` elements only.
unsafe impl Memory for Avx512 {
    type Set = Avx512;
    memory! {
        load_f32 store_f32: f32 = F32x16,
            |p, mask| _mm512_maskz_loadu_ps(mask, p), |p, x, mask| _mm512_mask_storeu_ps(p, mask, x);
        load_i32 store_i32: i32 = I32x16,
            |p, mask| _mm512_maskz_loadu_epi32(mask, p), |p, x, mask| _mm512_mask_storeu_epi32(p, mask, x);
        load_u32 store_u32: u32 = U32x16,
            |p, mask| _mm512_maskz_loadu_epi32(mask, p), |p, x, mask| _mm512_mask_storeu_epi32(p, mask, x);
        load_i16 store_i16: i16 = I32x16,
            |p, mask| _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(mask, p)),
            |p, x, mask| _mm256_mask_storeu_epi16(p, mask, _mm512_cvtepi32_epi16(x));
        load_u16 store_u16: u16 = I32x16,
            |p, mask| _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p)),
            |p, x, mask| _mm256_mask_storeu_epi16(p, mask, _mm512_cvtepi32_epi16(x));
        load_i8 store_i8: i8 = I32x16,
            |p, mask| _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, p)),
            |p, x, mask| _mm_mask_storeu_epi8(p, mask, _mm512_cvtepi32_epi8(x));
        load_u8 store_u8: u8 = I32x16,
            |p, mask| _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, p)),
            |p, x, mask| _mm_mask_storeu_epi8(p, mask, _mm512_cvtepi32_epi8(x));
        load_f16 store_f16: f16 = F32x16,
            |p, mask| _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, p)),
            |p, x, mask| _mm256_mask_storeu_epi16(p, mask, _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x));
    }
    #[inline(always)]
    unsafe fn stream_f32(to: *mut f32, lanes: F32x16) {
        // SAFETY: the features are enabled (`Simd`); the caller says that the elements are aligned and writable.
        unsafe { _mm512_stream_ps(to, lanes.0) }
    }
    #[inline(always)]
    unsafe fn stream_f16(to: *mut f16, lanes: F32x16) {
        // SAFETY: as above.
        unsafe { _mm256_stream_si256(to.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(lanes.0)) }
    }
    #[inline(always)]
    unsafe fn stream_i16(to: *mut i16, lanes: I32x16) {
        // SAFETY: as above.
        unsafe { _mm256_stream_si256(to.cast(), _mm512_cvtepi32_epi16(lanes.0)) }
    }
    #[inline(always)]
    fn settle() {
        // SAFETY: every processor with these features has it; it touches no memory.
        unsafe { _mm_sfence() }
    }
    #[inline(always)]
    unsafe fn load_f64(from: *const f64, n: usize) -> F64x16 {
        let mask = first(n);
        // SAFETY: the features are enabled (`Simd`); masked lanes are not touched.
        unsafe {
            F64x16(
                _mm512_maskz_loadu_pd(mask as u8, from),
                _mm512_maskz_loadu_pd((mask >> 8) as u8, from.wrapping_add(8)),
            )
        }
    }
    #[inline(always)]
    unsafe fn store_f64(to: *mut f64, lanes: F64x16, n: usize) {
        let mask = first(n);
        // SAFETY: the features are enabled (`Simd`); masked lanes are not touched.
        unsafe {
            _mm512_mask_storeu_pd(to, mask as u8, lanes.0);
            _mm512_mask_storeu_pd(to.wrapping_add(8), (mask >> 8) as u8, lanes.1);
        }
    }
    #[inline(always)]
    fn round_f16(x: F32x16) -> F32x16 {
        // SAFETY: the features are enabled (`Simd`).
        F32x16(unsafe { _mm512_cvtph_ps(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.0)) })
    }
}
