//! Laying operands out in tiles, with AVX-512.

use super::super::avx512::{F32x16, transposed};
use super::super::layout::{lay_out as lay_out_floats, stored};
use super::super::register::{Register, Stored, Widening};
use super::{Form, LINE, LINES, TILE, Task, Which};
use crate::simd::{InstructionSet, with_avx512};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Above this a number's first part would be infinity.
const LARGEST: f32 = 3.38e38;
/// Contracted elements of a tile of halves.
const HALVES: usize = 32;

/// How many tiles ahead elements are asked for.
const AHEAD: isize = 4;

/// A line of a tile.
type Words = [u32; LINES];
/// The lines of a tile.
type Tile = [Words; LINES];

/// Lays an operand out; false if one of its numbers cannot be split.
///
/// # Safety
/// The processor has AVX-512; the task's elements are readable and its tiles writable.
pub(super) unsafe fn lay_out(task: &Task) -> bool {
    // SAFETY: the same contract.
    unsafe {
        match task.form {
            Form::Halves(1) => halves::<1>(task),
            Form::Halves(2) => halves::<2>(task),
            Form::Halves(_) => halves::<3>(task),
            Form::Bytes { .. } => {
                bytes(task);
                true
            }
        }
    }
}

impl Task {
    /// Calls `each` with the first line, the first contracted element, how many there are of both, and where their
    /// tiles are: along rows of memory, whichever axis they follow.
    #[inline(always)]
    fn for_each_tile(&self, mut each: impl FnMut((usize, usize), (usize, usize), *mut u8)) {
        let (depth, strip) = (self.form.depth(), self.form.strip(self.k));
        let (strips, steps) = (self.lines.div_ceil(LINES), self.k.div_ceil(depth));
        for turn in 0..strips * steps {
            let across = self.from.free == 1;
            let (at, step) =
                if across { (turn % strips, turn / strips) } else { (turn / steps, turn % steps) };
            let (line, p) = (at * LINES, step * depth);
            let to = self.to.wrapping_add(at * strip + step * (strip / steps));
            each((line, p), (LINES.min(self.lines - line), depth.min(self.k - p)), to);
        }
    }
}

with_avx512! {
    /// # Safety
    /// As [`lay_out`].
    unsafe fn halves<const PARTS: usize>(task: &Task) -> bool {
        let Some(stored) = stored::<f32>(task.from.kind) else { return false };
        let mut size = _mm512_setzero_si512();
        task.for_each_tile(#[inline(always)] |(line, p), (lines, k), to| {
            // SAFETY: the caller's contract; these lines and contracted elements exist.
            unsafe { size = halves_tile::<PARTS>(task, stored, (line, p), (lines, k), to, size) };
        });
        _mm512_cmpgt_epu32_mask(size, _mm512_set1_epi32(LARGEST.to_bits() as i32)) == 0
    }

    /// # Safety
    /// As [`lay_out`]; `to` is the place of a tile for each part.
    #[inline]
    unsafe fn halves_tile<const PARTS: usize>(
        task: &Task,
        stored: Stored,
        (line, p): (usize, usize),
        (lines, k): (usize, usize),
        to: *mut u8,
        mut largest: __m512i,
    ) -> __m512i {
        let from = task.from.at(line, p);
        let size = stored.size() as isize;
        let to = to.cast::<Words>();
        // SAFETY: the caller's contract.
        unsafe {
            if from.free == 1 && from.contracted != 1 {
                // Words of 16 lines: pairs of rows in memory.
                let direct = task.which == Which::Right;
                let mut turned: [MaybeUninit<Tile>; PARTS] = [const { MaybeUninit::uninit() }; PARTS];
                for pair in 0..LINES {
                    let row = |i: usize| from.ptr.wrapping_offset((2 * pair + i) as isize * from.contracted * size);
                    let (mut low, mut high) = (_mm512_setzero_ps(), _mm512_setzero_ps());
                    if 2 * pair < k {
                        low = F32x16::widen_first(stored, row(0), lines).0;
                    }
                    if 2 * pair + 1 < k {
                        high = F32x16::widen_first(stored, row(1), lines).0;
                    }
                    largest = larger(larger(largest, low), high);
                    for (part, tile) in turned.iter_mut().enumerate() {
                        let (x, y) = (leading::<PARTS>(low, part), leading::<PARTS>(high, part));
                        (low, high) = (_mm512_sub_ps(low, x), _mm512_sub_ps(high, y));
                        let low_half = _mm512_srli_epi32::<16>(_mm512_castps_si512(x));
                        // The upper half of y, where what is left of it is no part: one of three operands.
                        let upper = _mm512_set1_epi32(0xFFFF_0000_u32 as i32);
                        let word = _mm512_ternarylogic_epi32::<0xF8>(low_half, _mm512_castps_si512(y), upper);
                        if direct {
                            _mm512_storeu_si512(to.add(part * LINES + pair).cast(), word);
                        } else {
                            _mm512_storeu_si512(tile.as_mut_ptr().cast::<Words>().add(pair).cast(), word);
                        }
                    }
                }
                if !direct {
                    for (part, tile) in turned.iter().enumerate() {
                        // All lines have been written.
                        turn(tile.assume_init_ref(), to.add(part * LINES));
                    }
                }
            } else {
                // Words of a line follow one another.
                let direct = task.which == Which::Left;
                let mut turned: [MaybeUninit<Tile>; PARTS] = [const { MaybeUninit::uninit() }; PARTS];
                let mut floats = MaybeUninit::<[f32; LINES * HALVES]>::uninit();
                let contiguous = from.contracted == 1;
                if !contiguous {
                    lay_out_floats(InstructionSet::Avx512, from, (lines, k), floats.as_mut_ptr().cast::<f32>(), HALVES);
                }
                for i in 0..LINES {
                    let (mut low, mut high) = (_mm512_setzero_ps(), _mm512_setzero_ps());
                    if i < lines {
                        if contiguous {
                            let ahead = from.ptr.wrapping_offset(i as isize * from.free * size + AHEAD * HALVES as isize * size);
                            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(LINE).cast());
                        }
                        let (stored, at) = if contiguous {
                            (stored, from.ptr.wrapping_offset(i as isize * from.free * size))
                        } else {
                            (Stored::Bits32, floats.as_ptr().cast::<f32>().add(i * HALVES).cast())
                        };
                        low = F32x16::widen_first(stored, at, k.min(16)).0;
                        if k > 16 {
                            high = F32x16::widen_first(stored, at.add(16 * stored.size()), k - 16).0;
                        }
                    }
                    largest = larger(larger(largest, low), high);
                    for (part, tile) in turned.iter_mut().enumerate() {
                        let (x, y) = (leading::<PARTS>(low, part), leading::<PARTS>(high, part));
                        (low, high) = (_mm512_sub_ps(low, x), _mm512_sub_ps(high, y));
                        let words = upper_halves(x, y);
                        if direct {
                            _mm512_storeu_si512(to.add(part * LINES + i).cast(), words);
                        } else {
                            _mm512_storeu_si512(tile.as_mut_ptr().cast::<Words>().add(i).cast(), words);
                        }
                    }
                }
                if !direct {
                    for (part, tile) in turned.iter().enumerate() {
                        // All lines have been written.
                        turn(tile.assume_init_ref(), to.add(part * LINES));
                    }
                }
            }
        }
        largest
    }

    /// The larger sizes of each lane, as bits: infinity and what is no number are the largest.
    #[inline]
    unsafe fn larger(size: __m512i, x: __m512) -> __m512i {
        _mm512_max_epu32(size, _mm512_castps_si512(_mm512_abs_ps(x)))
    }

    /// The leading eight bits of each lane: the first part is rounded, so that sixteen bits are left, with a sign of
    /// their own; the last part has no more than eight.
    #[inline]
    unsafe fn leading<const PARTS: usize>(x: __m512, part: usize) -> __m512 {
        let mut bits = _mm512_castps_si512(x);
        if part + 1 == PARTS {
            return x;
        }
        if part == 0 {
            bits = _mm512_add_epi32(bits, _mm512_set1_epi32(0x8000));
        }
        _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(0xFFFF_0000_u32 as i32)))
    }

    /// The upper 16 bits of the lanes of `x`, then of `y`.
    #[inline]
    unsafe fn upper_halves(x: __m512, y: __m512) -> __m512i {
        // Word 2 i + 1 of x, then of y, whose words count from 32.
        let odd = _mm512_set_epi32(
            0x003F_003D, 0x003B_0039, 0x0037_0035, 0x0033_0031, 0x002F_002D, 0x002B_0029, 0x0027_0025, 0x0023_0021,
            0x001F_001D, 0x001B_0019, 0x0017_0015, 0x0013_0011, 0x000F_000D, 0x000B_0009, 0x0007_0005, 0x0003_0001,
        );
        _mm512_permutex2var_epi16(_mm512_castps_si512(x), odd, _mm512_castps_si512(y))
    }

    /// Exchanges lines and words.
    ///
    /// # Safety
    /// `to` is a tile.
    #[inline]
    unsafe fn turn(tile: &Tile, to: *mut Words) {
        // SAFETY: the caller's contract.
        unsafe {
            let mut lines = [F32x16::zero(); LINES];
            for (line, words) in lines.iter_mut().zip(tile) {
                *line = F32x16::load(words.as_ptr().cast());
            }
            for (i, line) in transposed(&lines).into_iter().enumerate() {
                line.store(to.add(i).cast());
            }
        }
    }

    /// # Safety
    /// As [`lay_out`].
    unsafe fn bytes(task: &Task) {
        task.for_each_tile(#[inline(always)] |(line, p), (lines, k), to| {
            // SAFETY: the caller's contract; these lines and contracted elements exist.
            unsafe { bytes_tile(task, (line, p), (lines, k), to.cast()) };
        });
    }

    /// # Safety
    /// As [`lay_out`]; `to` is the place of a tile.
    #[inline]
    unsafe fn bytes_tile(task: &Task, (line, p): (usize, usize), (lines, k): (usize, usize), to: *mut Words) {
        let from = task.from.at(line, p);
        let mut tile: Tile = [[0; LINES]; LINES];
        // SAFETY: the caller's contract.
        unsafe {
            let direct = if from.free == 1 && from.contracted != 1 {
                for (quad, words) in tile.iter_mut().enumerate() {
                    let mut rows = [_mm_setzero_si128(); 4];
                    for (i, row) in rows.iter_mut().enumerate() {
                        if 4 * quad + i < k {
                            let at = from.ptr.wrapping_offset((4 * quad + i) as isize * from.contracted);
                            *row = _mm_maskz_loadu_epi8(mask(lines) as __mmask16, at.cast());
                        }
                    }
                    let (ab_low, ab_high) = (_mm_unpacklo_epi8(rows[0], rows[1]), _mm_unpackhi_epi8(rows[0], rows[1]));
                    let (cd_low, cd_high) = (_mm_unpacklo_epi8(rows[2], rows[3]), _mm_unpackhi_epi8(rows[2], rows[3]));
                    let to = words.as_mut_ptr().cast::<__m128i>();
                    _mm_storeu_si128(to, _mm_unpacklo_epi16(ab_low, cd_low));
                    _mm_storeu_si128(to.add(1), _mm_unpackhi_epi16(ab_low, cd_low));
                    _mm_storeu_si128(to.add(2), _mm_unpacklo_epi16(ab_high, cd_high));
                    _mm_storeu_si128(to.add(3), _mm_unpackhi_epi16(ab_high, cd_high));
                }
                task.which == Which::Right
            } else {
                for (i, words) in tile.iter_mut().enumerate().take(lines) {
                    let at = from.ptr.wrapping_offset(i as isize * from.free);
                    if from.contracted == 1 {
                        let line = _mm512_maskz_loadu_epi8(mask(k), at.cast());
                        _mm512_storeu_si512(words.as_mut_ptr().cast(), line);
                    } else {
                        let bytes = words.as_mut_ptr().cast::<u8>();
                        for q in 0..k {
                            *bytes.add(q) = *at.wrapping_offset(q as isize * from.contracted);
                        }
                    }
                }
                task.which == Which::Left
            };
            if direct {
                to.cast::<Tile>().write_unaligned(tile);
            } else {
                turn(&tile, to);
            }
        }
    }
}

/// Exchanges lines and words of a tile.
///
/// # Safety
/// The processor has AVX-512; both are tiles.
pub(super) unsafe fn turned(tile: *const u8, to: *mut u8) {
    // SAFETY: the same contract; any bytes are words.
    unsafe { turn(&tile.cast::<Tile>().read_unaligned(), to.cast()) }
}

/// The first `n` of 64.
fn mask(n: usize) -> u64 {
    if n >= LINE { u64::MAX } else { (1 << n) - 1 }
}

const _: () = assert!(size_of::<Tile>() == TILE && size_of::<Words>() == LINE);
