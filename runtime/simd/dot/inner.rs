//! Inner products: a few rows against an operand whose contracted axis is contiguous, read in place.
//! Nothing is packed, so a product of a vector and a matrix reads the matrix once.

use super::register::{Stored, Widening};

/// How many rows an inner kernel takes at most.
pub(super) const INNER_ROWS: usize = 4;
/// How many lines at once.
pub(super) const INNER_LINES: usize = 4;
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
    // SAFETY: promised by the caller: rows, lines and sums are within the task, `p + n <= k`.
    unsafe {
        let mut sums = [[R::zero(); J]; M];
        let whole = task.k / R::LANES * R::LANES;
        let mut p = 0;
        while p < whole {
            let lines: [R; J] = std::array::from_fn(|j| R::widen(stored, line(j, p)));
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
            let lines: [R; J] = std::array::from_fn(|j| R::widen_first(stored, line(j, p), rest));
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

/// `[[one line, INNER_LINES]; rows]` for each stored type.
macro_rules! inner_table {
    ($inner:ident, $R:ty) => {
        &[inner_table!($inner, $R, 0), inner_table!($inner, $R, 1), inner_table!($inner, $R, 2)]
    };
    ($inner:ident, $R:ty, $S:literal) => {
        [
            [$inner::<$R, $S, 1, 1>, $inner::<$R, $S, 1, 4>],
            [$inner::<$R, $S, 2, 1>, $inner::<$R, $S, 2, 4>],
            [$inner::<$R, $S, 3, 1>, $inner::<$R, $S, 3, 4>],
            [$inner::<$R, $S, 4, 1>, $inner::<$R, $S, 4, 4>],
        ]
    };
}
pub(super) use inner_table;
