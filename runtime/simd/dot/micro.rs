//! The microkernel: `M` rows by `V` registers of the product, held in registers over all of `k`.

use super::register::Register;

/// How many contracted elements a microkernel gets at most.
pub(super) const DEPTH: usize = 256;
/// The distance between the rows of the left operand: an odd number of cache lines for every type, so
/// that rows spread over the sets of a cache; constant, so that all rows share one pointer.
pub(super) const ROW: usize = DEPTH + 16;

/// What a microkernel works on.
pub(super) struct Tile<T> {
    /// Contracted elements, at most [`DEPTH`].
    pub(super) k: usize,
    /// Left operand: element `(i, p)` at `i · ROW + p`.
    pub(super) a: *const T,
    /// Right operand: element `(j, p)` at `j + p · ldb`.
    pub(super) b: *const T,
    /// Elements between its rows.
    pub(super) ldb: isize,
    /// The product: element `(i, j)` at `i · ldc + j`.
    pub(super) c: *mut T,
    /// Elements between its rows.
    pub(super) ldc: usize,
    /// Lanes of the last register that exist, `1 ..= LANES`.
    pub(super) last: usize,
    /// Whether to add to what is there.
    pub(super) accumulate: bool,
}

/// A microkernel of some size.
///
/// # Safety
/// The processor has its instruction set; `a` and `b` are readable and `c` is writable where the
/// tile says, for as many rows and registers as the microkernel has.
pub(super) type Micro<T> = unsafe fn(&Tile<T>);

/// With `TAIL` the last register holds only `tile.last` columns.
///
/// # Safety
/// As [`Micro`].
#[inline(always)]
pub(super) unsafe fn micro<R: Register, const M: usize, const V: usize, const TAIL: bool>(
    tile: &Tile<R::Scalar>,
) {
    // SAFETY: promised by the caller; pointers past the last row are made but not followed.
    unsafe {
        let mask = R::mask(tile.last);
        for i in 0..M {
            for v in 0..V {
                R::prefetch(tile.c.wrapping_add(i * tile.ldc + v * R::LANES));
            }
        }
        let mut sums = [[R::zero(); V]; M];
        let (mut a, mut b) = (tile.a, tile.b);
        for _ in 0..tile.k {
            let mut row = [R::zero(); V];
            for (v, row) in row.iter_mut().enumerate() {
                let from = b.add(v * R::LANES);
                *row = if TAIL && v + 1 == V { R::load_first(from, mask) } else { R::load(from) };
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = R::splat(*a.add(i * ROW));
                for (sum, row) in sums.iter_mut().zip(row) {
                    *sum = x.mul_add(row, *sum);
                }
            }
            a = a.wrapping_add(1);
            b = b.wrapping_offset(tile.ldb);
        }
        for (i, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                let to = tile.c.add(i * tile.ldc + v * R::LANES);
                if TAIL && v + 1 == V {
                    let sum = if tile.accumulate { sum.add(R::load_first(to, mask)) } else { sum };
                    sum.store_first(to, mask);
                } else {
                    let sum = if tile.accumulate { sum.add(R::load(to)) } else { sum };
                    sum.store(to);
                }
            }
        }
    }
}

/// `[[whole, with a tail]; rows]` for 1 to so many rows of `V` registers.
macro_rules! micro_table {
    ($micro:ident, $R:ty, $V:literal: $($M:literal)*) => {
        &[$([$micro::<$R, $M, $V, false>, $micro::<$R, $M, $V, true>]),*]
    };
}
pub(super) use micro_table;
