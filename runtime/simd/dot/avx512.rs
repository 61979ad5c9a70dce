//! Products with AVX-512: 9 rows by 3 registers, or 12 by 2.

use super::inner::{
    ALONE_STEP, Inner, Outer, alone_table, inner, inner_alone, inner_table, outer, outer_table,
};
use super::kernels::{Few, Kernels};
use super::layout::{self, Layout, Task};
use super::micro::{Tile, alone_micro_table, micro as body, micro_table};
use super::register::{Register, Stored, Widening};
use crate::simd::with_avx512;
use std::arch::x86_64::*;

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
    ($($Name:ident($V:ty): $T:ty = $lanes:literal, $Mask:ty, $zero:ident, $splat:ident, $load:ident,
        $load_first:ident, $store:ident, $store_first:ident, $add:ident,
        |$x:ident, $y:ident, $sum:ident| $mul_add:expr;)*) => {$(
        #[derive(Clone, Copy)]
        pub(super) struct $Name(pub(super) $V);
        impl Register for $Name {
            type Scalar = $T;
            type Mask = $Mask;
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn mask(n: usize) -> $Mask {
                ((1u32 << n) - 1) as $Mask
            }
            operations! {
                zero() -> Self = $Name($zero());
                splat(x: $T) -> Self = $Name($splat(x));
                load(from: *const $T) -> Self = $Name($load(from.cast()));
                load_first(from: *const $T, mask: $Mask) -> Self = $Name($load_first(mask, from.cast()));
                store(self: Self, to: *mut $T) -> () = $store(to.cast(), self.0);
                store_first(self: Self, to: *mut $T, mask: $Mask) -> () = $store_first(to.cast(), mask, self.0);
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
    F32x16(__m512): f32 = 16, __mmask16, _mm512_setzero_ps, _mm512_set1_ps, _mm512_loadu_ps,
        _mm512_maskz_loadu_ps, _mm512_storeu_ps, _mm512_mask_storeu_ps, _mm512_add_ps,
        |x, y, sum| _mm512_fmadd_ps(x, y, sum);
    F64x8(__m512d): f64 = 8, __mmask8, _mm512_setzero_pd, _mm512_set1_pd, _mm512_loadu_pd,
        _mm512_maskz_loadu_pd, _mm512_storeu_pd, _mm512_mask_storeu_pd, _mm512_add_pd,
        |x, y, sum| _mm512_fmadd_pd(x, y, sum);
    I32x16(__m512i): i32 = 16, __mmask16, _mm512_setzero_si512, _mm512_set1_epi32, _mm512_loadu_epi32,
        _mm512_maskz_loadu_epi32, _mm512_storeu_epi32, _mm512_mask_storeu_epi32, _mm512_add_epi32,
        |x, y, sum| _mm512_add_epi32(sum, _mm512_mullo_epi32(x, y));
    I64x8(__m512i): i64 = 8, __mmask8, _mm512_setzero_si512, _mm512_set1_epi64, _mm512_loadu_epi64,
        _mm512_maskz_loadu_epi64, _mm512_storeu_epi64, _mm512_mask_storeu_epi64, _mm512_add_epi64,
        |x, y, sum| _mm512_add_epi64(sum, _mm512_mullo_epi64(x, y));
}

#[inline(always)]
unsafe fn bf16_lanes(bits: __m256i) -> F32x16 {
    // SAFETY: the caller has the features. A bf16 is the upper half of an f32.
    F32x16(unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits))) })
}

/// An f8e5m2 is the upper half of an f16.
#[inline(always)]
unsafe fn e5m2_lanes(bits: __m128i) -> F32x16 {
    // SAFETY: the caller has the features.
    F32x16(unsafe { _mm512_cvtph_ps(_mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(bits))) })
}

/// The fields of an f8e4m3 are an f16's whose exponent counts from 8 less; its NaN would be 480.
#[inline(always)]
unsafe fn e4m3_lanes(bits: __m128i) -> F32x16 {
    // SAFETY: the caller has the features.
    F32x16(unsafe {
        let wide = _mm256_cvtepi8_epi16(bits);
        let sign = _mm256_and_si256(wide, _mm256_set1_epi16(i16::MIN));
        let rest = _mm256_and_si256(_mm256_slli_epi16::<7>(wide), _mm256_set1_epi16(0x3F80));
        let lanes = _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(sign, rest)), _mm512_set1_ps(256.0));
        let size = _mm512_abs_ps(lanes);
        let nan = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(size, _mm512_set1_ps(448.0));
        _mm512_mask_mov_ps(lanes, nan, _mm512_set1_ps(f32::NAN))
    })
}

impl Widening for F32x16 {
    operations! {
        widen(stored: Stored, from: *const u8) -> Self = match stored {
            Stored::Bits32 => F32x16::load(from.cast()),
            Stored::F16 => F32x16(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))),
            Stored::Bf16 => bf16_lanes(_mm256_loadu_si256(from.cast())),
            Stored::E4m3 => e4m3_lanes(_mm_loadu_si128(from.cast())),
            Stored::E5m2 => e5m2_lanes(_mm_loadu_si128(from.cast())),
        };
        widen_first(stored: Stored, from: *const u8, n: usize) -> Self = {
            let mask = F32x16::mask(n);
            match stored {
                Stored::Bits32 => F32x16::load_first(from.cast(), mask),
                Stored::F16 => F32x16(_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from.cast()))),
                Stored::Bf16 => bf16_lanes(_mm256_maskz_loadu_epi16(mask, from.cast())),
                Stored::E4m3 => e4m3_lanes(_mm_maskz_loadu_epi8(mask, from.cast())),
                Stored::E5m2 => e5m2_lanes(_mm_maskz_loadu_epi8(mask, from.cast())),
            }
        };
        sum(self: Self) -> f32 = _mm512_reduce_add_ps(self.0);
        sums(lines: &[Self; 16]) -> [f32; 16] = sums(lines);
        store_transposed(lines: &[Self; 16], to: *mut f32, ld: usize, rows: usize, columns: usize) -> () = {
            let block = transposed(lines);
            if (rows, columns) == (16, 16) {
                for (r, line) in block.into_iter().enumerate() {
                    line.store(to.add(r * ld));
                }
            } else {
                let mask = F32x16::mask(columns);
                for (r, line) in block.into_iter().enumerate().take(rows) {
                    line.store_first(to.add(r * ld), mask);
                }
            }
        };
        copy_transposed(from: *const f32, stride: isize, to: *mut f32, ld: usize) -> () = {
            // 128 bits of each line at a time: lines i, i + 4, i + 8, i + 12 to one register each, so that
            // transposing four by four within 128 bits makes four rows.
            for part in 0..4 {
                let mut four = [_mm512_setzero_ps(); 4];
                for (i, four) in four.iter_mut().enumerate() {
                    let at = from.wrapping_offset(i as isize * stride).wrapping_add(4 * part);
                    let quarter = |j: isize| at.wrapping_offset(4 * j * stride);
                    let x = _mm512_castps128_ps512(_mm_loadu_ps(at));
                    let x = _mm512_mask_broadcast_f32x4(x, 0x00F0, _mm_loadu_ps(quarter(1)));
                    let x = _mm512_mask_broadcast_f32x4(x, 0x0F00, _mm_loadu_ps(quarter(2)));
                    *four = _mm512_mask_broadcast_f32x4(x, 0xF000, _mm_loadu_ps(quarter(3)));
                }
                let [a, b, c, d] = four;
                let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                let (ef, gh) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                let [ab, cd, ef, gh] = [_mm512_castps_pd(ab), _mm512_castps_pd(cd), _mm512_castps_pd(ef), _mm512_castps_pd(gh)];
                let to = to.wrapping_add(4 * part * ld);
                F32x16(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd))).store(to);
                F32x16(_mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd))).store(to.wrapping_add(ld));
                F32x16(_mm512_castpd_ps(_mm512_unpacklo_pd(ef, gh))).store(to.wrapping_add(2 * ld));
                F32x16(_mm512_castpd_ps(_mm512_unpackhi_pd(ef, gh))).store(to.wrapping_add(3 * ld));
            }
        };
    }
}

/// The sum of the lanes of each: lines are exchanged with lanes as in [`transposed`], and added on the way.
#[inline(always)]
unsafe fn sums(lines: &[F32x16; 16]) -> [f32; 16] {
    // SAFETY: the caller has the features.
    unsafe {
        let mut fours = [_mm512_setzero_ps(); 4];
        for (group, four) in fours.iter_mut().enumerate() {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| lines[4 * group + i].0);
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
            let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
            *four = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
        }
        // One by one: a closure would not have the instructions.
        let [a, b, c, d] = fours;
        let ab = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
        let cd = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xDD>(c, d));
        let all = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
        let mut sums = [0.0; 16];
        _mm512_storeu_ps(sums.as_mut_ptr(), all);
        sums
    }
}

/// 16×16 in four rounds of 16 shuffles: within 128 bits pairs, then fours; then the 128-bit parts.
#[inline(always)]
pub(super) unsafe fn transposed(lines: &[F32x16; 16]) -> [F32x16; 16] {
    // SAFETY: the caller has the features.
    unsafe {
        let mut fours = [_mm512_setzero_pd(); 16];
        for group in 0..4 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| lines[4 * group + i].0);
            let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
            let (ef, gh) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
            fours[group] = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
            fours[4 + group] = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
            fours[8 + group] = _mm512_unpacklo_pd(_mm512_castps_pd(ef), _mm512_castps_pd(gh));
            fours[12 + group] = _mm512_unpackhi_pd(_mm512_castps_pd(ef), _mm512_castps_pd(gh));
        }
        // fours[4·x + group]: lines 4·group .., in the 128-bit part q their element 4·q + x.
        let mut block = [F32x16::zero(); 16];
        for x in 0..4 {
            // One by one: a closure would not have the instructions.
            let (a, b) = (_mm512_castpd_ps(fours[4 * x]), _mm512_castpd_ps(fours[4 * x + 1]));
            let (c, d) = (_mm512_castpd_ps(fours[4 * x + 2]), _mm512_castpd_ps(fours[4 * x + 3]));
            let (even_ab, odd_ab) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
            let (even_cd, odd_cd) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xDD>(c, d));
            block[x] = F32x16(_mm512_shuffle_f32x4::<0x88>(even_ab, even_cd));
            block[4 + x] = F32x16(_mm512_shuffle_f32x4::<0x88>(odd_ab, odd_cd));
            block[8 + x] = F32x16(_mm512_shuffle_f32x4::<0xDD>(even_ab, even_cd));
            block[12 + x] = F32x16(_mm512_shuffle_f32x4::<0xDD>(odd_ab, odd_cd));
        }
        block
    }
}

with_avx512! {
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
        unsafe { layout::copy::<F32x16>(task) }
    }
    unsafe fn transpose(task: &Task) {
        // SAFETY: the same contract.
        unsafe { layout::transpose::<F32x16>(task) }
    }
}

static LAYOUT: Layout = Layout { copy, transpose };
static FEW: Few = Few {
    inner: inner_table!(inner_of, F32x16: 1: 4 8, 2: 4, 3: 4, 4: 4, 5: 4, 6: 4, 7: 3, 8: 3, 9: 2, 10: 2, 11: 2, 12: 2),
    outer: outer_table!(outer_of, F32x16),
    outer_alone: outer_of::<F32x16, 0, 1, ALONE_STEP, 2, false>,
    inner_alone: alone_table!(alone_of, F32x16),
};

macro_rules! tables {
    ($($TABLE:ident: $T:ty, $R:ty, [$($V:literal: $($M:literal)*),*], $alone:expr, $layout:expr, $few:expr;)*) => {$(
        pub(super) static $TABLE: Kernels<$T> = Kernels {
            lanes: <$R>::LANES,
            micro: &[$(micro_table!(micro, $R, $V: $($M)*)),*],
            alone: $alone,
            few: $few,
            layout: $layout,
        };
    )*};
}
tables! {
    F32: f32, F32x16, [1: 1 2 3 4 5 6 7 8 9 10 11 12, 2: 1 2 3 4 5 6 7 8 9 10 11 12, 3: 1 2 3 4 5 6 7 8 9],
        alone_micro_table!(micro, F32x16, 3: 1 2 3 4 5 6 7 8 9), Some(&LAYOUT), Some(&FEW);
    F64: f64, F64x8, [1: 1 2 3 4 5 6 7 8 9 10 11 12, 2: 1 2 3 4 5 6 7 8 9 10 11 12, 3: 1 2 3 4 5 6 7 8 9], &[], None, None;
    I32: i32, I32x16, [1: 1 2 3 4 5 6 7 8, 2: 1 2 3 4 5 6 7 8], &[], Some(&LAYOUT), None;
    I64: i64, I64x8, [1: 1 2 3 4 5 6 7 8, 2: 1 2 3 4 5 6 7 8], &[], None, None;
}
