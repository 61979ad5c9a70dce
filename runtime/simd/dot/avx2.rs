//! Products with AVX2: 6 rows by 2 registers.

use super::inner::{
    ALONE_STEP, Inner, Outer, alone_table, inner, inner_alone, inner_table, outer, outer_table,
};
use super::kernels::{Few, Kernels};
use super::layout::{self, Layout, Task};
use super::micro::{Tile, micro as body, micro_table};
use super::register::{Register, Stored, Widening};
use crate::simd::with_avx2;
use std::arch::x86_64::*;

/// Eight set words, then eight clear ones: a window of it chooses the first so many lanes.
static WINDOW: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

macro_rules! operations {
    ($($name:ident($($x:ident: $T:ty),*) -> $R:ty = $e:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($x: $T),*) -> $R {
            // SAFETY: the caller has the features, and says that the memory is readable or writable.
            unsafe { $e }
        }
    )*};
}

macro_rules! registers {
    ($($Name:ident($V:ty): $T:ty = $lanes:literal, $zero:ident, $splat:ident, $load:ident,
        $load_first:ident, $store:ident, $store_first:ident, $add:ident,
        |$x:ident, $y:ident, $sum:ident| $mul_add:expr;)*) => {$(
        #[derive(Clone, Copy)]
        pub(super) struct $Name($V);
        impl Register for $Name {
            type Scalar = $T;
            type Mask = __m256i;
            const LANES: usize = $lanes;
            operations! {
                // A lane has `8 / LANES` words.
                mask(n: usize) -> __m256i = _mm256_loadu_si256(WINDOW.as_ptr().add(8 - n * (8 / $lanes)).cast());
                zero() -> Self = $Name($zero());
                splat(x: $T) -> Self = $Name($splat(x));
                load(from: *const $T) -> Self = $Name($load(from.cast()));
                load_first(from: *const $T, mask: __m256i) -> Self = $Name($load_first(from, mask));
                store(self: Self, to: *mut $T) -> () = $store(to.cast(), self.0);
                store_first(self: Self, to: *mut $T, mask: __m256i) -> () = $store_first(to, mask, self.0);
                add(self: Self, other: Self) -> Self = $Name($add(self.0, other.0));
                mul_add(self: Self, by: Self, plus: Self) -> Self = {
                    let ($x, $y, $sum) = (self.0, by.0, plus.0);
                    $Name($mul_add)
                };
            }
        }
    )*};
}
registers! {
    F32x8(__m256): f32 = 8, _mm256_setzero_ps, _mm256_set1_ps, _mm256_loadu_ps,
        _mm256_maskload_ps, _mm256_storeu_ps, _mm256_maskstore_ps, _mm256_add_ps,
        |x, y, sum| _mm256_fmadd_ps(x, y, sum);
    F64x4(__m256d): f64 = 4, _mm256_setzero_pd, _mm256_set1_pd, _mm256_loadu_pd,
        _mm256_maskload_pd, _mm256_storeu_pd, _mm256_maskstore_pd, _mm256_add_pd,
        |x, y, sum| _mm256_fmadd_pd(x, y, sum);
    I32x8(__m256i): i32 = 8, _mm256_setzero_si256, _mm256_set1_epi32, _mm256_loadu_si256,
        _mm256_maskload_epi32, _mm256_storeu_si256, _mm256_maskstore_epi32, _mm256_add_epi32,
        |x, y, sum| _mm256_add_epi32(sum, _mm256_mullo_epi32(x, y));
    I64x4(__m256i): i64 = 4, _mm256_setzero_si256, _mm256_set1_epi64x, _mm256_loadu_si256,
        _mm256_maskload_epi64, _mm256_storeu_si256, _mm256_maskstore_epi64, _mm256_add_epi64,
        |x, y, sum| _mm256_add_epi64(sum, multiplied(x, y));
}

/// The low halves of 64-bit products: `xl·yl + ((xl·yh + xh·yl) << 32)`.
#[inline(always)]
unsafe fn multiplied(x: __m256i, y: __m256i) -> __m256i {
    // SAFETY: the caller has the features.
    unsafe {
        let (x_high, y_high) = (_mm256_srli_epi64::<32>(x), _mm256_srli_epi64::<32>(y));
        let cross = _mm256_add_epi64(_mm256_mul_epu32(x, y_high), _mm256_mul_epu32(x_high, y));
        _mm256_add_epi64(_mm256_mul_epu32(x, y), _mm256_slli_epi64::<32>(cross))
    }
}

#[inline(always)]
unsafe fn half_lanes(stored: Stored, bits: __m128i) -> F32x8 {
    // SAFETY: the caller has the features. A bf16 is the upper half of an f32.
    F32x8(unsafe {
        match stored {
            Stored::F16 => _mm256_cvtph_ps(bits),
            Stored::E5m2 => _mm256_cvtph_ps(_mm_slli_epi16::<8>(bits)),
            Stored::E4m3 => {
                // Its fields are an f16's whose exponent counts from 8 less; its NaN would be 480.
                let sign = _mm_slli_epi16::<8>(_mm_and_si128(bits, _mm_set1_epi16(0x80)));
                let rest = _mm_slli_epi16::<7>(_mm_and_si128(bits, _mm_set1_epi16(0x7F)));
                let lanes = _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(sign, rest)), _mm256_set1_ps(256.0));
                let size = _mm256_andnot_ps(_mm256_set1_ps(-0.0), lanes);
                let nan = _mm256_cmp_ps::<_CMP_GT_OQ>(size, _mm256_set1_ps(448.0));
                _mm256_blendv_ps(lanes, _mm256_set1_ps(f32::NAN), nan)
            }
            Stored::Bf16 | Stored::Bits32 => {
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(bits)))
            }
        }
    })
}

impl Widening for F32x8 {
    operations! {
        widen(stored: Stored, from: *const u8) -> Self = match stored {
            Stored::Bits32 => F32x8::load(from.cast()),
            Stored::F16 | Stored::Bf16 => half_lanes(stored, _mm_loadu_si128(from.cast())),
            Stored::E4m3 | Stored::E5m2 => half_lanes(stored, _mm_cvtepu8_epi16(_mm_loadl_epi64(from.cast()))),
        };
        widen_first(stored: Stored, from: *const u8, n: usize) -> Self = match stored {
            Stored::Bits32 => F32x8::load_first(from.cast(), F32x8::mask(n)),
            Stored::F16 | Stored::Bf16 => {
                let mut bits = [0u16; 8];
                for (i, bits) in bits.iter_mut().enumerate().take(n) {
                    *bits = *from.cast::<u16>().add(i);
                }
                half_lanes(stored, _mm_loadu_si128(bits.as_ptr().cast()))
            }
            Stored::E4m3 | Stored::E5m2 => {
                let mut bits = [0u16; 8];
                for (i, bits) in bits.iter_mut().enumerate().take(n) {
                    *bits = u16::from(*from.add(i));
                }
                half_lanes(stored, _mm_loadu_si128(bits.as_ptr().cast()))
            }
        };
        sum(self: Self) -> f32 = {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        };
        store_transposed(lines: &[Self; 16], to: *mut f32, ld: usize, rows: usize, columns: usize) -> () = {
            let block = transposed(lines);
            if (rows, columns) == (8, 8) {
                for (r, line) in block.into_iter().enumerate() {
                    line.store(to.add(r * ld));
                }
            } else {
                let mask = F32x8::mask(columns);
                for (r, line) in block.into_iter().enumerate().take(rows) {
                    line.store_first(to.add(r * ld), mask);
                }
            }
        };
    }
}

/// 8×8 in three rounds of 8 shuffles: within 128 bits pairs, then fours; then the 128-bit parts.
#[inline(always)]
unsafe fn transposed(lines: &[F32x8; 16]) -> [F32x8; 8] {
    // SAFETY: the caller has the features.
    unsafe {
        let mut fours = [_mm256_setzero_pd(); 8];
        for group in 0..2 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| lines[4 * group + i].0);
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            fours[group] = _mm256_unpacklo_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd));
            fours[2 + group] = _mm256_unpackhi_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd));
            fours[4 + group] = _mm256_unpacklo_pd(_mm256_castps_pd(ef), _mm256_castps_pd(gh));
            fours[6 + group] = _mm256_unpackhi_pd(_mm256_castps_pd(ef), _mm256_castps_pd(gh));
        }
        // fours[2·x + group]: lines 4·group .., in the 128-bit part q their element 4·q + x.
        let mut block = [F32x8::zero(); 8];
        for x in 0..4 {
            let (a, b) = (_mm256_castpd_ps(fours[2 * x]), _mm256_castpd_ps(fours[2 * x + 1]));
            block[x] = F32x8(_mm256_permute2f128_ps::<0x20>(a, b));
            block[4 + x] = F32x8(_mm256_permute2f128_ps::<0x31>(a, b));
        }
        block
    }
}

with_avx2! {
    unsafe fn micro<R: Register, const M: usize, const V: usize, const TAIL: bool, const ALONE: bool>(tile: &Tile<R::Scalar>) {
        // SAFETY: the same contract.
        unsafe { body::<R, M, V, TAIL, ALONE>(tile) }
    }
    unsafe fn inner_of<R: Widening, const S: usize, const M: usize, const J: usize>(task: &Inner) {
        // SAFETY: the same contract.
        unsafe { inner::<R, S, M, J>(task) }
    }
    unsafe fn alone_of<R: Widening, const S: usize>(task: &Inner) {
        // SAFETY: the same contract.
        unsafe { inner_alone::<R, S>(task) }
    }
    unsafe fn outer_of<R: Widening, const S: usize, const M: usize, const P: usize, const V: usize, const ASKS: bool>(
        task: &Outer,
    ) {
        // SAFETY: the same contract.
        unsafe { outer::<R, S, M, P, V, ASKS>(task) }
    }
    unsafe fn copy(task: &Task) {
        // SAFETY: the same contract.
        unsafe { layout::copy::<F32x8>(task) }
    }
    unsafe fn transpose(task: &Task) {
        // SAFETY: the same contract.
        unsafe { layout::transpose::<F32x8>(task) }
    }
}

static LAYOUT: Layout = Layout { copy, transpose };
static FEW: Few = Few {
    inner: inner_table!(inner_of, F32x8: 1: 4 4, 2: 4, 3: 3, 4: 2, 5: 2, 6: 2, 7: 1, 8: 1, 9: 1, 10: 1, 11: 1, 12: 1),
    outer: outer_table!(outer_of, F32x8),
    outer_alone: outer_of::<F32x8, 0, 1, ALONE_STEP, 2, false>,
    inner_alone: alone_table!(alone_of, F32x8),
};

macro_rules! tables {
    ($($TABLE:ident: $T:ty, $R:ty, ($($M:literal)*), $layout:expr, $few:expr;)*) => {$(
        pub(super) static $TABLE: Kernels<$T> = Kernels {
            lanes: <$R>::LANES,
            micro: &[micro_table!(micro, $R, 1: $($M)*), micro_table!(micro, $R, 2: $($M)*)],
            alone: &[],
            few: $few,
            layout: $layout,
        };
    )*};
}
tables! {
    F32: f32, F32x8, (1 2 3 4 5 6), Some(&LAYOUT), Some(&FEW);
    F64: f64, F64x4, (1 2 3 4 5 6), None, None;
    I32: i32, I32x8, (1 2 3 4 5), Some(&LAYOUT), None;
    I64: i64, I64x4, (1 2 3 4), None, None;
}
