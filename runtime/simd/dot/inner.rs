//! Products of a few rows with an operand that is read in place. Nothing is packed, so a product of a vector
//! and a matrix reads the matrix once.
//!
//! Where the operand's contracted axis is contiguous, its lines are multiplied with the rows and summed up
//! (`inner`); where its other axis is, multiples of its lines are added to the rows of the product (`outer`).

use super::register::{Stored, Widening};

/// How many rows an inner kernel takes at most.
pub(super) const INNER_ROWS: usize = 12;
/// How many rows an outer kernel takes at most.
pub(super) const OUTER_ROWS: usize = 8;
/// How many contracted elements at once.
pub(super) const OUTER_STEP: usize = 8;
/// How many contracted elements.
pub(super) const INNER_DEPTH: usize = 4096;

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
    let ahead = if (0..=NEXT).contains(&next) { next } else { AHEAD as isize };
    // SAFETY: promised by the caller: rows, lines and sums are within the task, `p + n <= k`.
    unsafe {
        let mut sums = [[R::zero(); J]; M];
        let whole = task.k / R::LANES * R::LANES;
        let mut p = 0;
        while p < whole {
            // Not by a closure, which would not have the caller's instructions.
            let mut lines = [R::zero(); J];
            for (j, to) in lines.iter_mut().enumerate() {
                R::prefetch(line(j, p).wrapping_offset(ahead).cast());
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
        for (i, sums) in sums.into_iter().enumerate() {
            for (j, sum) in sums.into_iter().enumerate() {
                let to = task.c.add(i * task.row + j * task.column);
                *to = if task.accumulate { *to + sum.sum() } else { sum.sum() };
            }
        }
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

/// `M` rows by all columns, `P` contracted elements; `STORED` is the index of a [`Stored`].
///
/// # Safety
/// As [`OuterKernel`].
#[inline(always)]
pub(super) unsafe fn outer<R: Widening, const STORED: usize, const M: usize, const P: usize>(task: &Outer) {
    let stored = Stored::from_index(STORED);
    // SAFETY: promised by the caller: rows, columns and lines are within the task.
    unsafe {
        let mut j = 0;
        while j < task.n {
            let left = R::LANES.min(task.n - j);
            let mask = R::mask(left);
            let mut lines = [R::zero(); P];
            for (p, line) in lines.iter_mut().enumerate() {
                let elements = p as isize * task.ldb + j as isize;
                let from = task.b.wrapping_offset(elements * stored.size() as isize);
                R::prefetch(from.wrapping_add(AHEAD).cast());
                *line = if left == R::LANES {
                    R::widen(stored, from)
                } else {
                    R::widen_first(stored, from, left)
                };
            }
            for i in 0..M {
                let to = task.c.add(i * task.ldc + j);
                let mut sum = if left == R::LANES { R::load(to) } else { R::load_first(to, mask) };
                for (p, line) in lines.into_iter().enumerate() {
                    sum = R::splat(*task.a.add(i * task.lda + p)).mul_add(line, sum);
                }
                if left == R::LANES {
                    sum.store(to);
                } else {
                    sum.store_first(to, mask);
                }
            }
            j += R::LANES;
        }
    }
}

/// The inner kernels for a number of rows: how many lines at once, and those for one and for so many.
pub(super) struct InnerKernels {
    pub(super) lines: usize,
    pub(super) one: InnerKernel,
    pub(super) several: InnerKernel,
}

/// For each stored type and number of rows; `M: J` are rows and lines, as many as registers have room for.
macro_rules! inner_table {
    ($inner:ident, $R:ty: $($M:literal: $J:literal),*) => {
        &[
            [$(inner_table!(of $inner, $R, 0, $M, $J)),*],
            [$(inner_table!(of $inner, $R, 1, $M, $J)),*],
            [$(inner_table!(of $inner, $R, 2, $M, $J)),*],
            [$(inner_table!(of $inner, $R, 3, $M, $J)),*],
            [$(inner_table!(of $inner, $R, 4, $M, $J)),*],
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
        [$([$outer::<$R, $S, $M, 1>, $outer::<$R, $S, $M, 8>]),*]
    };
}
pub(super) use outer_table;
