//! Bytes in the unit's tiles, multiplied by vectors where there is no unit (AVX-512 VNNI): an instruction adds four
//! products to each of 16 sums.
//!
//! Of a tile of the right operand each line is a register: four contracted elements of 16 columns. The instruction
//! multiplies unsigned with signed bytes. Where both sides are of one sign the right one is moved by 128, and the sum
//! is put right by 128 times the sum of the left row: `Σ x·y = Σ x·(y ± 128) ∓ 128·Σ x`. Sums wrap, so that is exact.

use super::super::kernels::Number;
use super::super::micro::hidden;
use super::super::product::Problem;
use super::super::{Operand, Scratch, Strided};
use super::{Form, LINE, LINES, ROWS, Rows, Strips, TILE};
use crate::simd::{InstructionSet, is_amd};
use std::arch::x86_64::*;

/// Rows of the product that a microkernel holds in registers.
const M: usize = 8;
/// Registers of columns, at most.
const V: usize = 3;
/// Steps along the contracted axis at once: three strips of columns stay in the L1 cache.
pub(super) const STEPS: usize = 12;
/// The most rows that are multiplied with lines where they lie.
const FEW: usize = 12;
/// Lines at once, and rows whose sums grow at once.
const J: usize = 4;
/// Bytes ahead of a line's elements that are asked for.
const AHEAD: usize = 1024;

/// Whether products of bytes with this instruction set use the instruction.
pub(super) fn is_available(isa: InstructionSet) -> bool {
    isa == InstructionSet::Avx512 && std::arch::is_x86_feature_detected!("avx512vnni")
}

/// Whether few rows meet lines that are read where they are.
pub(super) fn is_few<T>(problem: &Problem<T>) -> bool {
    matches!(problem.b, Operand::Strided(b) if b.contracted == 1 && problem.m <= FEW)
}

/// Declares functions with the instruction.
macro_rules! with_vnni {
    ($($item:item)*) => {$(
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")]
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
        $item
    )*};
}

/// What a microkernel works on: `M` rows by some strips of 16 columns.
struct Block {
    /// The first row, and bytes to the next and from a step to the next.
    a: *const u8,
    a_row: usize,
    a_step: usize,
    b: [*const u8; V],
    steps: usize,
    /// What each row's sums begin with.
    begin: [i32; M],
    c: *mut i32,
    ldc: usize,
    /// Of the product there are so many.
    rows: usize,
    columns: usize,
    accumulate: bool,
    /// Whether what it adds to is asked for first.
    asks: bool,
    /// What is brought to the second-level cache meanwhile: as much as of a strip, at any address.
    soon: *const u8,
}

with_vnni! {
    /// # Safety
    /// All `M` rows and `REGISTERS` strips are readable, `steps` long; the sums of `rows` and `columns` are writable.
    unsafe fn micro<const REGISTERS: usize, const LEFT: bool, const RIGHT: bool>(task: &Block) {
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut sums = [[_mm512_setzero_si512(); REGISTERS]; M];
        for (sums, begin) in sums.iter_mut().zip(task.begin) {
            *sums = [_mm512_set1_epi32(begin); REGISTERS];
        }
        // SAFETY: promised by the caller; pointers past the last row are made but not followed.
        unsafe {
            if task.asks {
                for i in 0..M {
                    for v in 0..REGISTERS {
                        _mm_prefetch::<_MM_HINT_T0>(task.c.wrapping_add(i * task.ldc + v * LINES).cast());
                    }
                }
            }
            let mut strips = task.b;
            let mut first = task.a;
            for step in 0..task.steps {
                // Three rows share a pointer, as in the microkernels of floats.
                let mut rows = [first; M.div_ceil(3)];
                for (group, row) in rows.iter_mut().enumerate() {
                    *row = hidden(first.wrapping_add(3 * group * task.a_row));
                }
                for quad in 0..LINES {
                    let soon = task.soon.wrapping_add(step * TILE + quad * LINE);
                    _mm_prefetch::<_MM_HINT_T1>(soon.cast());
                    let mut columns = [_mm512_setzero_si512(); REGISTERS];
                    for (column, strip) in columns.iter_mut().zip(strips) {
                        *column = _mm512_loadu_si512(strip.add(quad * LINE).cast());
                        if LEFT == RIGHT {
                            *column = _mm512_xor_si512(*column, flip);
                        }
                    }
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let at = rows[i / 3].wrapping_add((i % 3) * task.a_row + 4 * quad);
                        let row = _mm512_set1_epi32(at.cast::<i32>().read_unaligned());
                        for (sum, column) in sums.iter_mut().zip(columns) {
                            *sum = if LEFT {
                                _mm512_dpbusd_epi32(*sum, column, row)
                            } else {
                                _mm512_dpbusd_epi32(*sum, row, column)
                            };
                        }
                    }
                }
                first = first.wrapping_add(task.a_step);
                strips = strips.map(|strip| strip.wrapping_add(TILE));
            }
            if (task.rows, task.columns) == (M, REGISTERS * LINES) {
                for (i, sums) in sums.into_iter().enumerate() {
                    for (v, sum) in sums.into_iter().enumerate() {
                        let to = task.c.wrapping_add(i * task.ldc + v * LINES);
                        let there = if task.accumulate { _mm512_loadu_epi32(to) } else { _mm512_setzero_si512() };
                        _mm512_storeu_epi32(to, _mm512_add_epi32(sum, there));
                    }
                }
                return;
            }
            for (i, sums) in sums.into_iter().enumerate().take(task.rows) {
                for (v, sum) in sums.into_iter().enumerate() {
                    let left = task.columns.saturating_sub(v * LINES).min(LINES);
                    let mask = ((1u32 << left) - 1) as __mmask16;
                    let to = task.c.wrapping_add(i * task.ldc + v * LINES);
                    let sum = if task.accumulate {
                        _mm512_add_epi32(sum, _mm512_maskz_loadu_epi32(mask, to))
                    } else {
                        sum
                    };
                    _mm512_mask_storeu_epi32(to, mask, sum);
                }
            }
        }
    }

    /// The sums of `to.len()` rows of `k` bytes, in pieces of 64 that are `step` apart, times `factor`.
    ///
    /// # Safety
    /// The rows, `row` apart, are readable.
    unsafe fn sums_of<const SIGNED: bool>(
        from: *const u8,
        (row, step): (usize, usize),
        k: usize,
        factor: i32,
        to: &mut [i32],
    ) {
        let ones = _mm512_set1_epi8(1);
        // Each sum waits for its last addend, so several grow at once.
        for (group, to) in to.chunks_mut(J).enumerate() {
            let mut sums = [_mm512_setzero_si512(); J];
            for p in (0..k).step_by(LINE) {
                let mask = first(k - p);
                for (i, sum) in sums.iter_mut().enumerate() {
                    // Beyond the last row it is that row again.
                    let i = group * J + i.min(to.len() - 1);
                    let at = from.wrapping_add(i * row + p / LINE * step);
                    // SAFETY: the row's bytes below `k`.
                    let bytes = unsafe { _mm512_maskz_loadu_epi8(mask, at.cast()) };
                    *sum = if SIGNED {
                        _mm512_dpbusd_epi32(*sum, ones, bytes)
                    } else {
                        _mm512_dpbusd_epi32(*sum, bytes, ones)
                    };
                }
            }
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = _mm512_reduce_add_epi32(sum).wrapping_mul(factor);
            }
        }
    }

    /// `ROWS` rows by `LINES` lines, `k` bytes long: sums at `c[i · ldc + j]`.
    ///
    /// # Safety
    /// The rows, `lda` apart, and the lines, `ldb` apart, are readable, and the sums are writable.
    unsafe fn inner<const ROWS: usize, const LINES: usize, const LEFT: bool, const RIGHT: bool>(task: &Inner) {
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut sums = [[_mm512_setzero_si512(); LINES]; ROWS];
        // SAFETY: promised by the caller.
        unsafe {
            for p in (0..task.k).step_by(LINE) {
                let mask = first(task.k - p);
                let mut lines = [_mm512_setzero_si512(); LINES];
                for (j, line) in lines.iter_mut().enumerate() {
                    let at = task.b.wrapping_offset(j as isize * task.ldb).wrapping_add(p);
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
                    *line = _mm512_maskz_loadu_epi8(mask, at.cast());
                    if LEFT == RIGHT {
                        *line = _mm512_xor_si512(*line, flip);
                    }
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    // Zero past the end, whatever the lines have there.
                    let row = _mm512_maskz_loadu_epi8(mask, task.a.add(i * task.lda + p).cast());
                    for (sum, line) in sums.iter_mut().zip(lines) {
                        *sum = if LEFT {
                            _mm512_dpbusd_epi32(*sum, line, row)
                        } else {
                            _mm512_dpbusd_epi32(*sum, row, line)
                        };
                    }
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (j, sum) in sums.into_iter().enumerate() {
                    let to = task.c.add(i * task.ldc + j);
                    let sum = task.begin[i].wrapping_add(_mm512_reduce_add_epi32(sum));
                    *to = if task.accumulate { sum.wrapping_add(*to) } else { sum };
                }
            }
        }
    }
}

/// The first `n` of 64 bytes.
#[inline(always)]
fn first(n: usize) -> __mmask64 {
    if n >= LINE { u64::MAX } else { (1 << n) - 1 }
}

/// What the sums of rows begin with, so that it does not matter that the right operand was moved.
///
/// # Safety
/// The processor has the instruction; the rows are readable, `row` apart, `k` long in pieces of 64 bytes that are
/// `step` apart.
unsafe fn begin(signs: (bool, bool), from: *const u8, (row, step): (usize, usize), k: usize, to: &mut [i32]) {
    // SAFETY: the same contract.
    unsafe {
        match signs {
            (true, true) => sums_of::<true>(from, (row, step), k, -128, to),
            (false, false) => sums_of::<false>(from, (row, step), k, 128, to),
            (true, false) | (false, true) => to.fill(0),
        }
    }
}

fn is_signed(form: Form) -> bool {
    form == Form::Bytes { signed: true }
}

/// Multiplies rows with strips, both in tiles.
///
/// # Safety
/// The processor has the instruction; the rows and strips are those of the part's operands.
pub(super) unsafe fn block<T: Number>(
    part: &Problem<T>,
    (left, right): (Form, Form),
    rows: &Rows,
    strips: &Strips,
) {
    type Micro = unsafe fn(&Block);
    /// By sign of the left and the right operand, then by registers.
    const MICRO: [[[Micro; V]; 2]; 2] = [
        [
            [micro::<1, false, false>, micro::<2, false, false>, micro::<3, false, false>],
            [micro::<1, false, true>, micro::<2, false, true>, micro::<3, false, true>],
        ],
        [
            [micro::<1, true, false>, micro::<2, true, false>, micro::<3, true, false>],
            [micro::<1, true, true>, micro::<2, true, true>, micro::<3, true, true>],
        ],
    ];
    let Problem { m, n, k, ldc, accumulate, .. } = *part;
    let signs = (is_signed(left), is_signed(right));
    let micro = &MICRO[usize::from(signs.0)][usize::from(signs.1)];
    let (steps, count) = (k.div_ceil(LINE), n.div_ceil(LINES));
    // Sums are i32, as the operands are bytes.
    let c = part.c.cast::<i32>();
    let row = |i: usize| {
        let (first, a_row, a_step) = rows.strip(i / LINES, left);
        (first.wrapping_add(i % LINES * a_row), a_row, a_step)
    };
    let mut begins = [0; ROWS];
    for (strip, to) in begins[..m].chunks_mut(LINES).enumerate() {
        let (first, a_row, a_step) = row(strip * LINES);
        // SAFETY: the strip's rows exist, in steps.
        unsafe { begin(signs, first, (a_row, a_step), k, to) };
    }
    let asks = accumulate && !is_amd();
    let mut j = 0;
    while j < count {
        // Of four strips two by two, not three and one.
        let registers = if count - j == V + 1 { 2 } else { V.min(count - j) };
        let strip = |v: usize| strips.ptr.wrapping_add((j + v.min(registers - 1)) * strips.strip);
        let b = [strip(0), strip(1), strip(2)];
        // What comes next: strip by strip the neighbours, or of the first ones what follows along the contracted axis.
        let next = |at: usize| {
            let neighbour = j + registers + at;
            if at >= V || !strips.is_far {
                b[0]
            } else if neighbour < count {
                strips.ptr.wrapping_add(neighbour * strips.strip)
            } else {
                strips.ptr.wrapping_add((neighbour - count) * strips.strip + steps * TILE)
            }
        };
        for (at, i) in (0..m).step_by(M).enumerate() {
            let (a, a_row, a_step) = row(i);
            let task = Block {
                a,
                a_row,
                a_step,
                b,
                steps,
                begin: std::array::from_fn(|r| begins.get(i + r).copied().unwrap_or(0)),
                c: c.wrapping_add(i * ldc + j * LINES),
                ldc,
                rows: M.min(m - i),
                columns: (registers * LINES).min(n - j * LINES),
                accumulate,
                asks,
                soon: next(at),
            };
            // SAFETY: strips are whole, 16 rows and 16 columns; so are those rows that lie where they are.
            unsafe { micro[registers - 1](&task) };
        }
        j += registers;
    }
}

/// Rows and lines that are multiplied where they lie.
struct Inner {
    a: *const u8,
    lda: usize,
    b: *const u8,
    ldb: isize,
    k: usize,
    begin: [i32; J],
    c: *mut i32,
    ldc: usize,
    accumulate: bool,
}

/// Computes a product of few rows.
///
/// # Safety
/// As [`product`](super::product), where [`is_few`] holds and the processor has the instruction.
pub(super) unsafe fn few_rows<T: Number>(
    (left, right): (Form, Form),
    problem: &Problem<T>,
    scratch: &mut Scratch,
) {
    type Kernel = unsafe fn(&Inner);
    macro_rules! kernels {
        ($left:literal, $right:literal) => {
            [
                [inner::<1, 1, $left, $right>, inner::<1, J, $left, $right>],
                [inner::<2, 1, $left, $right>, inner::<2, J, $left, $right>],
                [inner::<3, 1, $left, $right>, inner::<3, J, $left, $right>],
                [inner::<4, 1, $left, $right>, inner::<4, J, $left, $right>],
            ]
        };
    }
    /// By sign of the left and the right operand, then by rows, then for one line and for several.
    const KERNELS: [[[[Kernel; 2]; J]; 2]; 2] =
        [[kernels!(false, false), kernels!(false, true)], [kernels!(true, false), kernels!(true, true)]];
    let Problem { m, n, k, a, b, c, ldc, accumulate } = *problem;
    let Operand::Strided(b) = b else { return };
    let signs = (is_signed(left), is_signed(right));
    let kernels = &KERNELS[usize::from(signs.0)][usize::from(signs.1)];
    // SAFETY: the rows exist.
    let (a, lda) = unsafe { rows_of(a, m, k, scratch) };
    let mut begins = [0; FEW];
    // SAFETY: there are `m` rows, `k` long.
    unsafe { begin(signs, a, (lda, LINE), k, &mut begins[..m]) };
    let mut j = 0;
    while j < n {
        let lines = if n - j >= J { J } else { 1 };
        for i in (0..m).step_by(J) {
            let task = Inner {
                a: a.wrapping_add(i * lda),
                lda,
                b: b.at(j, 0).ptr,
                ldb: b.free,
                k,
                begin: std::array::from_fn(|r| begins.get(i + r).copied().unwrap_or(0)),
                c: c.cast::<i32>().wrapping_add(i * ldc + j),
                ldc,
                accumulate,
            };
            // SAFETY: these rows and lines exist.
            unsafe { kernels[J.min(m - i) - 1][usize::from(lines > 1)](&task) };
        }
        j += lines;
    }
}

/// The rows as they are, if their elements are neighbours, else copied; and the bytes from one to the next.
///
/// # Safety
/// `m` rows of `k` bytes are readable.
unsafe fn rows_of(a: Strided, m: usize, k: usize, scratch: &mut Scratch) -> (*const u8, usize) {
    if a.contracted == 1 && a.free >= 0 {
        return (a.ptr, a.free.unsigned_abs());
    }
    let room = scratch.room::<u8>(m * k);
    for i in 0..m {
        for p in 0..k {
            // SAFETY: the element exists, and there is room for `m` rows of `k`.
            unsafe { room.add(i * k + p).write(*a.at(i, p).ptr) };
        }
    }
    (room, k)
}
