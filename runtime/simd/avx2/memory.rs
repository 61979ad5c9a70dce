//! Loads and stores: masked ones for parts of 4-byte elements, copies through the stack for smaller ones.

use super::{Avx2, F32x8, F64x8, I32x8, U32x8, widen};
use crate::simd::{Bits, Masks, Memory};
use half::f16;
use std::arch::x86_64::*;

/// All bits of lanes `< n`.
#[inline(always)]
fn first(n: usize) -> __m256i {
    widen(Bits::first_lanes(n))
}

/// The `n` elements, then zeros.
///
/// # Safety
/// They are readable; `n <= 8`.
#[inline(always)]
unsafe fn padded<T: Copy + Default>(from: *const T, n: usize) -> [T; 8] {
    let mut whole = [T::default(); 8];
    for (i, element) in whole.iter_mut().enumerate().take(n) {
        // SAFETY: `i < n`.
        *element = unsafe { from.add(i).read() };
    }
    whole
}

/// Writes the first `n`.
///
/// # Safety
/// They are writable.
#[inline(always)]
unsafe fn write<T: Copy>(to: *mut T, whole: [T; 8], n: usize) {
    for (i, &element) in whole.iter().enumerate().take(n) {
        // SAFETY: `i < n`.
        unsafe { to.add(i).write(element) };
    }
}

macro_rules! words {
    ($($load:ident $store:ident: $T:ident = $V:ident, |$p:ident| $loadu:expr, |$q:ident, $mask:ident| $maskload:expr,
        |$r:ident, $x:ident| $storeu:expr, |$t:ident, $keep:ident, $y:ident| $maskstore:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $load(from: *const $T, n: usize) -> $V {
            if n >= 8 {
                let $p = from.cast();
                // SAFETY: the features are enabled (`Simd`); 8 elements are readable.
                return $V(unsafe { $loadu });
            }
            let ($q, $mask) = (from.cast(), first(n));
            // SAFETY: the features are enabled (`Simd`); masked lanes are not touched.
            $V(unsafe { $maskload })
        }
        #[inline(always)]
        unsafe fn $store(to: *mut $T, lanes: $V, n: usize) {
            if n >= 8 {
                let ($r, $x) = (to.cast(), lanes.0);
                // SAFETY: the features are enabled (`Simd`); 8 elements are writable.
                return unsafe { $storeu };
            }
            let ($t, $keep, $y) = (to.cast(), first(n), lanes.0);
            // SAFETY: the features are enabled (`Simd`); masked lanes are not touched.
            unsafe { $maskstore }
        }
    )*};
}

macro_rules! narrow {
    ($($load:ident $store:ident: $T:ident = $V:ident, |$bits:ident| $widen:expr, |$x:ident| $narrow:expr,
        $read:ident $write:ident;)*) => {$(
        #[inline(always)]
        unsafe fn $load(from: *const $T, n: usize) -> $V {
            let parts;
            let from = if n >= 8 {
                from
            } else {
                // SAFETY: the caller's `n` elements.
                parts = unsafe { padded(from, n) };
                parts.as_ptr()
            };
            // SAFETY: the features are enabled (`Simd`); `from` has 8 elements.
            unsafe {
                let $bits = $read(from.cast());
                $V($widen)
            }
        }
        #[inline(always)]
        unsafe fn $store(to: *mut $T, lanes: $V, n: usize) {
            let $x = lanes.0;
            // SAFETY: the features are enabled (`Simd`); 8 elements are written where `n` is 8, and
            // into an array of 8 otherwise.
            unsafe {
                if n >= 8 {
                    return $write(to.cast(), $narrow);
                }
                let mut whole = [$T::default(); 8];
                $write(whole.as_mut_ptr().cast(), $narrow);
                write(to, whole, n);
            }
        }
    )*};
}

/// The low halves of 8 lanes.
#[inline(always)]
unsafe fn low_halves(x: __m256i) -> __m128i {
    // SAFETY: the features are enabled (`Simd`).
    unsafe {
        let pick = _mm256_setr_epi8(
            0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, //
            0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1,
        );
        let halves = _mm256_shuffle_epi8(x, pick);
        _mm_unpacklo_epi64(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
    }
}

/// The low bytes of 8 lanes.
#[inline(always)]
unsafe fn low_bytes(x: __m256i) -> __m128i {
    // SAFETY: the features are enabled (`Simd`).
    unsafe {
        let halves = low_halves(x);
        let pick = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, -1, -1, -1, -1, -1, -1, -1, -1);
        _mm_shuffle_epi8(halves, pick)
    }
}

// SAFETY: whole loads and stores only where `n` is 8, masked ones and copies of `n` elements otherwise.
unsafe impl Memory for Avx2 {
    type Set = Avx2;
    #[inline(always)]
    unsafe fn stream_f32(to: *mut f32, lanes: F32x8) {
        // SAFETY: the features are enabled (`Simd`); the caller says that the elements are aligned and writable.
        unsafe { _mm256_stream_ps(to, lanes.0) }
    }
    #[inline(always)]
    fn settle() {
        // SAFETY: every processor with these features has it; it touches no memory.
        unsafe { _mm_sfence() }
    }
    words! {
        load_f32 store_f32: f32 = F32x8,
            |p| _mm256_loadu_ps(p), |p, mask| _mm256_maskload_ps(p, mask),
            |p, x| _mm256_storeu_ps(p, x), |p, mask, x| _mm256_maskstore_ps(p, mask, x);
        load_i32 store_i32: i32 = I32x8,
            |p| _mm256_loadu_si256(p), |p, mask| _mm256_maskload_epi32(p, mask),
            |p, x| _mm256_storeu_si256(p, x), |p, mask, x| _mm256_maskstore_epi32(p, mask, x);
        load_u32 store_u32: u32 = U32x8,
            |p| _mm256_loadu_si256(p), |p, mask| _mm256_maskload_epi32(p, mask),
            |p, x| _mm256_storeu_si256(p, x), |p, mask, x| _mm256_maskstore_epi32(p, mask, x);
    }
    narrow! {
        load_i16 store_i16: i16 = I32x8, |b| _mm256_cvtepi16_epi32(b), |x| low_halves(x),
            _mm_loadu_si128 _mm_storeu_si128;
        load_u16 store_u16: u16 = I32x8, |b| _mm256_cvtepu16_epi32(b), |x| low_halves(x),
            _mm_loadu_si128 _mm_storeu_si128;
        load_i8 store_i8: i8 = I32x8, |b| _mm256_cvtepi8_epi32(b), |x| low_bytes(x),
            _mm_loadl_epi64 _mm_storel_epi64;
        load_u8 store_u8: u8 = I32x8, |b| _mm256_cvtepu8_epi32(b), |x| low_bytes(x),
            _mm_loadl_epi64 _mm_storel_epi64;
        load_f16 store_f16: f16 = F32x8, |b| _mm256_cvtph_ps(b),
            |x| _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x), _mm_loadu_si128 _mm_storeu_si128;
    }
    #[inline(always)]
    unsafe fn load_f64(from: *const f64, n: usize) -> F64x8 {
        let parts;
        let from = if n >= 8 {
            from
        } else {
            // SAFETY: the caller's `n` elements.
            parts = unsafe { padded(from, n) };
            parts.as_ptr()
        };
        // SAFETY: the features are enabled (`Simd`); `from` has 8 elements.
        unsafe { F64x8(_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4))) }
    }
    #[inline(always)]
    unsafe fn store_f64(to: *mut f64, lanes: F64x8, n: usize) {
        let mut whole = [0.0; 8];
        let target = if n >= 8 { to } else { whole.as_mut_ptr() };
        // SAFETY: the features are enabled (`Simd`); `target` has 8 elements, `to` has `n`.
        unsafe {
            _mm256_storeu_pd(target, lanes.0);
            _mm256_storeu_pd(target.add(4), lanes.1);
            if n < 8 {
                write(to, whole, n);
            }
        }
    }
    #[inline(always)]
    fn round_f16(x: F32x8) -> F32x8 {
        // SAFETY: the features are enabled (`Simd`).
        F32x8(unsafe { _mm256_cvtph_ps(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.0)) })
    }
}
