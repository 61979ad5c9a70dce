//! Products of a few rows with an operand that is read in place. Nothing is packed, so a product of a vector
//! and a matrix reads the matrix once.
//!
//! Where the operand's contracted axis is contiguous, its lines are multiplied with the rows and summed up
//! (`inner`); where its other axis is, multiples of its lines are added to the rows of the product (`outer`).

use super::micro::LINE;
use super::register::{Stored, Widening};
use crate::simd::is_amd;

/// How many rows an inner kernel takes at most.
pub(super) const INNER_ROWS: usize = 12;
/// How many rows an outer kernel takes at most.
pub(super) const OUTER_ROWS: usize = 8;
/// How many contracted elements at once.
pub(super) const OUTER_STEP: usize = 8;
/// How many of one row of f32, where the processor follows lines.
pub(super) const ALONE_STEP: usize = 4;
/// How many contracted elements.
pub(super) const INNER_DEPTH: usize = 4096;
/// Floats of so many rows stay in a first-level cache of 48 KiB beside the lines.
const NEAR: usize = 8192;

/// How many of `k` contracted elements inner kernels of so many rows get at once: of many rows as many as stay in the
/// first-level cache, of few more, as long runs of memory are faster. Nearly the same each time, since summing up
/// takes as long after few.
pub(super) fn inner_depth(rows: usize, k: usize) -> usize {
    let most = if rows <= 4 { INNER_DEPTH } else { NEAR / rows / 128 * 128 };
    k.div_ceil(k.div_ceil(most).max(1)).next_multiple_of(128).max(128)
}

/// What an inner kernel works on.
pub(super) struct Inner {
    /// Contracted elements.
    pub(super) k: usize,
    /// Element `(i, p)` of the few rows at `i · lda + p`.
    pub(super) a: *const f32,
    /// Elements between the rows.
    pub(super) lda: usize,
    /// Element `(j, p)` of the lines at `j · ldb + p`, of the stored type.
    pub(super) b: *const u8,
    /// Elements between the lines.
    pub(super) ldb: isize,
    /// Whether to ask for what comes next.
    pub(super) asks: bool,
    /// The product: element `(i, j)` at `i · row + j · column`.
    pub(super) c: *mut f32,
    /// See `c`.
    pub(super) row: usize,
    /// See `c`.
    pub(super) column: usize,
    /// Whether to add to what is there.
    pub(super) accumulate: bool,
}

/// Bytes ahead of a line's elements that are asked for.
const AHEAD: usize = 1024;
/// Of lines that are no longer, in bytes, the next ones are asked for instead.
const SHORT: usize = 4096;
/// Bytes from lines to the next ones that are asked for instead, if they are no further.
const NEXT: isize = 8192;

/// An inner kernel of some size.
///
/// # Safety
/// As [`Micro`](super::micro::Micro).
pub(super) type InnerKernel = unsafe fn(&Inner);

/// `M` rows by `J` lines; `STORED` is the index of a [`Stored`].
///
/// # Safety
/// As [`InnerKernel`].
#[inline(always)]
pub(super) unsafe fn inner<R: Widening, const STORED: usize, const M: usize, const J: usize>(task: &Inner) {
    let stored = Stored::from_index(STORED);
    let line = |j: usize, p: usize| {
        let elements = j as isize * task.ldb + p as isize;
        task.b.wrapping_offset(elements * stored.size() as isize)
    };
    // The same place of the lines that come next, if that is near.
    let next = (J as isize * stored.size() as isize).saturating_mul(task.ldb);
    let is_short = task.k * stored.size() <= SHORT;
    let ahead = if is_short || (0..=NEXT).contains(&next) { next } else { AHEAD as isize };
    // SAFETY: promised by the caller: rows, lines and sums are within the task, `p + n <= k`.
    unsafe {
        let mut sums = [[R::zero(); J]; M];
        let whole = task.k / R::LANES * R::LANES;
        let mut p = 0;
        while p < whole {
            // Not by a closure, which would not have the caller's instructions.
            let mut lines = [R::zero(); J];
            for (j, to) in lines.iter_mut().enumerate() {
                if task.asks {
                    R::prefetch(line(j, p).wrapping_offset(ahead).cast());
                }
                *to = R::widen(stored, line(j, p));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let row = R::load(task.a.add(i * task.lda + p));
                for (sum, line) in sums.iter_mut().zip(lines) {
                    *sum = row.mul_add(line, *sum);
                }
            }
            p += R::LANES;
        }
        if p < task.k {
            let rest = task.k - p;
            let mut lines = [R::zero(); J];
            for (j, to) in lines.iter_mut().enumerate() {
                *to = R::widen_first(stored, line(j, p), rest);
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let row = R::load_first(task.a.add(i * task.lda + p), R::mask(rest));
                for (sum, line) in sums.iter_mut().zip(lines) {
                    *sum = row.mul_add(line, *sum);
                }
            }
        }
        // Sixteen registers at once are added up faster than one by one.
        for first in (0..M * J).step_by(16) {
            let mut group = [R::zero(); 16];
            for (at, sum) in group.iter_mut().enumerate().take(M * J - first) {
                *sum = sums[(first + at) / J][(first + at) % J];
            }
            let group = R::sums(&group);
            for (at, sum) in group.into_iter().enumerate().take(M * J - first) {
                let (i, j) = ((first + at) / J, (first + at) % J);
                let to = task.c.add(i * task.row + j * task.column);
                *to = if task.accumulate { *to + sum } else { sum };
            }
        }
    }
}

/// Registers that one row and one line are summed in: additions do not wait for each other.
const CHAINS: usize = 4;
/// Bytes ahead that one line after the other is asked for.
const FAR: usize = 16 << 10;

/// One row by one line, of which what comes long after is asked for: lines that follow one another are one stream.
///
/// # Safety
/// As [`InnerKernel`].
#[inline(always)]
pub(super) unsafe fn inner_alone<R: Widening, const STORED: usize>(task: &Inner) {
    let stored = Stored::from_index(STORED);
    let at = |p: usize| task.b.wrapping_add(p * stored.size());
    let whole = task.k / (CHAINS * R::LANES) * (CHAINS * R::LANES);
    // SAFETY: promised by the caller: `p + n <= k`.
    unsafe {
        let mut sums = [R::zero(); CHAINS];
        for p in (0..whole).step_by(CHAINS * R::LANES) {
            for ahead in (0..CHAINS * R::LANES * stored.size()).step_by(LINE) {
                R::prefetch(at(p).wrapping_add(FAR + ahead).cast());
            }
            for (chain, sum) in sums.iter_mut().enumerate() {
                let p = p + chain * R::LANES;
                *sum = R::load(task.a.add(p)).mul_add(R::widen(stored, at(p)), *sum);
            }
        }
        for p in (whole..task.k).step_by(R::LANES) {
            let n = R::LANES.min(task.k - p);
            let row = R::load_first(task.a.add(p), R::mask(n));
            sums[0] = row.mul_add(R::widen_first(stored, at(p), n), sums[0]);
        }
        let [a, b, c, d] = sums;
        let sum = a.add(b).add(c.add(d)).sum();
        *task.c = if task.accumulate { *task.c + sum } else { sum };
    }
}

/// What an outer kernel works on.
pub(super) struct Outer {
    /// Columns.
    pub(super) n: usize,
    /// Element `(i, p)` of the few rows at `i · lda + p`.
    pub(super) a: *const f32,
    /// Elements between the rows.
    pub(super) lda: usize,
    /// Element `(j, p)` at `j + p · ldb`, of the stored type.
    pub(super) b: *const u8,
    /// Elements between its lines.
    pub(super) ldb: isize,
    /// The product, which is added to: element `(i, j)` at `i · ldc + j`.
    pub(super) c: *mut f32,
    /// Elements between its rows.
    pub(super) ldc: usize,
}

/// An outer kernel of some size.
///
/// # Safety
/// As [`Micro`](super::micro::Micro).
pub(super) type OuterKernel = unsafe fn(&Outer);

/// `M` rows by all columns, `P` contracted elements, `V` registers of columns a turn; `STORED` is the index of a
/// [`Stored`]. It asks for what comes next if it `ASKS`.
///
/// # Safety
/// As [`OuterKernel`].
#[inline(always)]
pub(super) unsafe fn outer<
    R: Widening,
    const STORED: usize,
    const M: usize,
    const P: usize,
    const V: usize,
    const ASKS: bool,
>(
    task: &Outer,
) {
    // SAFETY: the same contract; the columns below `n`.
    unsafe {
        let mut j = 0;
        while j + V * R::LANES <= task.n {
            outer_turn::<R, STORED, M, P, V, ASKS>(task, j, R::LANES);
            j += V * R::LANES;
        }
        while j < task.n {
            outer_turn::<R, STORED, M, P, 1, ASKS>(task, j, R::LANES.min(task.n - j));
            j += R::LANES;
        }
    }
}

/// `V` registers of columns from `j` on, the last one with `last` columns.
///
/// # Safety
/// As [`OuterKernel`], of these columns.
#[inline(always)]
unsafe fn outer_turn<
    R: Widening,
    const STORED: usize,
    const M: usize,
    const P: usize,
    const V: usize,
    const ASKS: bool,
>(
    task: &Outer,
    j: usize,
    last: usize,
) {
    let stored = Stored::from_index(STORED);
    // SAFETY: promised by the caller: rows, columns and lines are within the task.
    unsafe {
        let mask = R::mask(last);
        let is_whole = |v: usize| v + 1 < V || last == R::LANES;
        let mut lines = [[R::zero(); V]; P];
        for (p, line) in lines.iter_mut().enumerate() {
            for (v, line) in line.iter_mut().enumerate() {
                let elements = p as isize * task.ldb + (j + v * R::LANES) as isize;
                let from = task.b.wrapping_offset(elements * stored.size() as isize);
                if ASKS {
                    R::prefetch(from.wrapping_add(AHEAD).cast());
                }
                *line = if is_whole(v) { R::widen(stored, from) } else { R::widen_first(stored, from, last) };
            }
        }
        for i in 0..M {
            let to = task.c.add(i * task.ldc + j);
            let mut sums = [R::zero(); V];
            for (v, sum) in sums.iter_mut().enumerate() {
                let to = to.add(v * R::LANES);
                *sum = if is_whole(v) { R::load(to) } else { R::load_first(to, mask) };
            }
            for (p, line) in lines.into_iter().enumerate() {
                let x = R::splat(*task.a.add(i * task.lda + p));
                for (sum, line) in sums.iter_mut().zip(line) {
                    *sum = x.mul_add(line, *sum);
                }
            }
            for (v, sum) in sums.into_iter().enumerate() {
                let to = to.add(v * R::LANES);
                if is_whole(v) {
                    sum.store(to)
                } else {
                    sum.store_first(to, mask)
                };
            }
        }
    }
}

/// Whether the processor follows some lines of f32 by itself, and only loses by being asked for what comes next: AMD's,
/// as measured on one of family 26. Intel's of the fourth generation of Xeons does not.
pub(super) fn follows_lines() -> bool {
    is_amd()
}

/// The inner kernels for a number of rows: how many lines at once, and those for one and for so many.
pub(super) struct InnerKernels {
    pub(super) lines: usize,
    pub(super) one: InnerKernel,
    pub(super) several: InnerKernel,
}

/// For each stored type and number of rows; `M: J` are rows and lines, as many as registers have room for. First for
/// one row: of f32, and of shorter floats.
macro_rules! inner_table {
    ($inner:ident, $R:ty: 1: $one:literal $short:literal, $($M:literal: $J:literal),*) => {
        &[
            [inner_table!(of $inner, $R, 0, 1, $one), $(inner_table!(of $inner, $R, 0, $M, $J)),*],
            [inner_table!(of $inner, $R, 1, 1, $short), $(inner_table!(of $inner, $R, 1, $M, $J)),*],
            [inner_table!(of $inner, $R, 2, 1, $short), $(inner_table!(of $inner, $R, 2, $M, $J)),*],
            [inner_table!(of $inner, $R, 3, 1, $short), $(inner_table!(of $inner, $R, 3, $M, $J)),*],
            [inner_table!(of $inner, $R, 4, 1, $short), $(inner_table!(of $inner, $R, 4, $M, $J)),*],
        ]
    };
    (of $inner:ident, $R:ty, $S:literal, $M:literal, $J:literal) => {
        $crate::simd::dot::inner::InnerKernels {
            lines: $J,
            one: $inner::<$R, $S, $M, 1>,
            several: $inner::<$R, $S, $M, $J>,
        }
    };
}
pub(super) use inner_table;

/// For each stored type.
macro_rules! alone_table {
    ($alone:ident, $R:ty) => {
        [$alone::<$R, 0>, $alone::<$R, 1>, $alone::<$R, 2>, $alone::<$R, 3>, $alone::<$R, 4>]
    };
}
pub(super) use alone_table;

/// For each stored type and number of rows: for one contracted element and for [`OUTER_STEP`].
macro_rules! outer_table {
    ($outer:ident, $R:ty) => {
        &[
            outer_table!($outer, $R, 0),
            outer_table!($outer, $R, 1),
            outer_table!($outer, $R, 2),
            outer_table!($outer, $R, 3),
            outer_table!($outer, $R, 4),
        ]
    };
    ($outer:ident, $R:ty, $S:literal) => {
        outer_table!($outer, $R, $S: 1 2 3 4 5 6 7 8)
    };
    ($outer:ident, $R:ty, $S:literal: $($M:literal)*) => {
        [$([$outer::<$R, $S, $M, 1, 1, true>, $outer::<$R, $S, $M, 8, 1, true>]),*]
    };
}
pub(super) use outer_table;
