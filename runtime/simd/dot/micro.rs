//! The microkernel: `M` rows by `V` registers of the product, held in registers over all of `k`.

use super::register::Register;

/// How many contracted elements of 4 bytes a microkernel gets at most, and half as many of 8. Panels of 256 stay in the L1
/// cache, but the product is written and read more often (MiniLM's 384 and 1536 elements were 1 % slower, a dozen rows
/// 10 %).
pub(super) const DEPTH: usize = 768;
/// The distance between the rows of a left operand that is laid out: of elements of 4 bytes an odd number of cache lines,
/// so that rows spread over the sets of a cache.
pub(super) const ROW: usize = DEPTH + 16;
/// Rows that share a pointer: what an address can say of a stride is once or twice.
const SHARE: usize = 3;

/// Contracted elements of a turn of a microkernel's loop.
pub(super) const STEPS: usize = 4;
/// Bytes of a line of a cache.
pub(super) const LINE: usize = 64;

/// Keeps loads where they are. Else the compiler begins those of several steps at once, for which there are
/// no registers.
#[inline(always)]
fn stay() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: no instruction.
    unsafe {
        std::arch::asm!("", options(nostack, preserves_flags));
    }
}

/// The pointer, of which the compiler knows nothing more. Else it computes each row's address from the one
/// before, and the additions take the place of multiplications.
#[inline(always)]
#[cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    expect(clippy::pointers_in_nomem_asm_block, reason = "nothing is done with the memory")
)]
pub(crate) fn hidden<T>(pointer: *const T) -> *const T {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let mut pointer = pointer;
        // SAFETY: no instruction.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        }
        pointer
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    pointer
}

/// What a microkernel works on.
pub(super) struct Tile<T> {
    /// Contracted elements, at most [`DEPTH`].
    pub(super) k: usize,
    /// Left operand: element `(i, p)` at `i · lda + p`.
    pub(super) a: *const T,
    /// Elements between its rows.
    pub(super) lda: isize,
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
    /// What the sums are added to, or null: the product as it is, or a row.
    pub(super) onto: *const T,
    /// Elements between its rows; 0 if that is one row.
    pub(super) ld_onto: usize,
    /// Whether what it adds to is asked for first.
    pub(super) asks: bool,
    /// How many times as many rows as the microkernel has there are.
    pub(super) groups: usize,
    /// What is brought to the second-level cache meanwhile, line by line, at any address.
    pub(super) soon: *const T,
    /// Where that ends.
    pub(super) enough: *const T,
}

/// The most rows of any microkernel.
const MOST_ROWS: usize = 12;

/// A microkernel of some size.
///
/// # Safety
/// The processor has its instruction set; `a`, `b` and `onto` are readable and `c` is writable where the
/// tile says, for `groups` times as many rows and as many registers as the microkernel has.
pub(super) type Micro<T> = unsafe fn(&Tile<T>);

/// With `TAIL` the last register holds only `tile.last` columns. With `ALONE` no other rows follow: it asks for as much
/// as it reads, else for two lines each `STEPS` contracted elements.
///
/// # Safety
/// As [`Micro`].
#[inline(always)]
pub(super) unsafe fn micro<
    R: Register,
    const M: usize,
    const V: usize,
    const TAIL: bool,
    const ALONE: bool,
>(
    tile: &Tile<R::Scalar>,
) {
    // SAFETY: promised by the caller; pointers past the last row are made but not followed.
    unsafe {
        let mask = R::mask(tile.last);
        let (mut a, mut c, mut soon, mut onto) = (tile.a, tile.c, tile.soon, tile.onto);
        let accumulates = !onto.is_null();
        for _ in 0..tile.groups {
            // What is only written need not be there.
            if tile.asks {
                for i in 0..M {
                    for v in 0..V {
                        R::prefetch(c.wrapping_add(i * tile.ldc + v * R::LANES));
                    }
                }
            }
            let mut sums = [[R::zero(); V]; M];
            let mut rows = [a; MOST_ROWS.div_ceil(SHARE)];
            for (group, row) in rows.iter_mut().enumerate() {
                *row = hidden(row.wrapping_offset((SHARE * group) as isize * tile.lda));
            }
            let mut b = tile.b;
            // A closure would not have the caller's instructions.
            macro_rules! ask {
                () => {
                    R::prefetch_far(soon);
                    soon = soon.wrapping_add(LINE / size_of::<R::Scalar>());
                };
            }
            macro_rules! step {
                ($at:literal) => {
                    if ALONE {
                        for _ in 0..V {
                            ask!();
                        }
                    }
                    let mut row = [R::zero(); V];
                    for (v, row) in row.iter_mut().enumerate() {
                        let from = b.add(v * R::LANES);
                        *row = if TAIL && v + 1 == V { R::load_first(from, mask) } else { R::load(from) };
                    }
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let x = rows[i / SHARE].wrapping_offset((i % SHARE) as isize * tile.lda);
                        let x = R::splat(*x.wrapping_add($at));
                        for (sum, row) in sums.iter_mut().zip(row) {
                            *sum = x.mul_add(row, *sum);
                        }
                    }
                    b = b.wrapping_offset(tile.ldb);
                    stay();
                };
            }
            for _ in 0..tile.k / STEPS {
                if !ALONE {
                    ask!();
                }
                step!(0);
                step!(1);
                if !ALONE {
                    ask!();
                }
                step!(2);
                step!(3);
                for row in rows.iter_mut().take(M.div_ceil(SHARE)) {
                    *row = hidden(row.wrapping_add(STEPS));
                }
            }
            for _ in 0..tile.k % STEPS {
                step!(0);
                for row in rows.iter_mut().take(M.div_ceil(SHARE)) {
                    *row = hidden(row.wrapping_add(1));
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let to = c.add(i * tile.ldc + v * R::LANES);
                    let onto = onto.wrapping_add(i * tile.ld_onto + v * R::LANES);
                    if TAIL && v + 1 == V {
                        let sum = if accumulates { sum.add(R::load_first(onto, mask)) } else { sum };
                        sum.store_first(to, mask);
                    } else {
                        let sum = if accumulates { sum.add(R::load(onto)) } else { sum };
                        sum.store(to);
                    }
                }
            }
            a = a.wrapping_offset(M as isize * tile.lda);
            c = c.wrapping_add(M * tile.ldc);
            onto = onto.wrapping_add(M * tile.ld_onto);
            soon = if soon < tile.enough { soon } else { tile.b };
        }
    }
}

/// `[[whole, with a tail]; rows]` for 1 to so many rows of `V` registers.
macro_rules! micro_table {
    ($micro:ident, $R:ty, $V:literal: $($M:literal)*) => {
        &[$([$micro::<$R, $M, $V, false, false>, $micro::<$R, $M, $V, true, false>]),*]
    };
}
pub(super) use micro_table;

/// For 1 to so many rows of `V` registers, if there are no others.
macro_rules! alone_micro_table {
    ($micro:ident, $R:ty, $V:literal: $($M:literal)*) => {
        &[$($micro::<$R, $M, $V, false, true>),*]
    };
}
pub(super) use alone_micro_table;
