//! Products in f64 and in integers: rows of the result as vectors, both operands widened first.

use super::pack;
use super::{Scratch, Strided};
use crate::element::Element;
use crate::simd::{Lane, Simd, Vector};

/// How much of `k` one pass takes.
const DEPTH: usize = 256;

/// See [`super::dot_f64`].
///
/// # Safety
/// As for [`super::dot_f32`]; both operands compute in `T`, inside a function with `S`'s target features.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a product has two operands, a result and their sizes")]
pub(super) unsafe fn product<S: Simd, T: Lane + Element<Lane = T>>(
    m: usize,
    n: usize,
    k: usize,
    a: Strided,
    b: Strided,
    c: *mut T,
    ldc: usize,
    accumulate: bool,
    scratch: &mut Scratch,
) {
    if !accumulate {
        for i in 0..m {
            // SAFETY: row `i` of `c` is writable, and zero bytes are a value of every element type.
            unsafe { c.add(i * ldc).write_bytes(0, n) };
        }
    }
    let mut from = 0;
    while from < k {
        let depth = DEPTH.min(k - from);
        let left = scratch.left.reserve::<T>(m * depth);
        let right = scratch.right.reserve::<T>(n * depth);
        // SAFETY: the buffers have room, the operands these elements, and `c` is initialised.
        unsafe {
            pack::widened(a.at(0, from), m, depth, left, true);
            pack::widened(b.at(0, from), n, depth, right, false);
            for i in 0..m {
                one_row::<S, T>(left.add(i * depth), right, n, depth, c.add(i * ldc));
            }
        }
        from += depth;
    }
}

/// # Safety
/// `left` has `k` values, `right` is `[k][n]`, `c` has `n`.
#[inline(always)]
unsafe fn one_row<S: Simd, T: Lane + Element<Lane = T>>(
    left: *const T,
    right: *const T,
    n: usize,
    k: usize,
    c: *mut T,
) {
    let mut j = 0;
    while j < n {
        let count = S::LANES.min(n - j);
        // SAFETY: `j + count <= n`.
        unsafe {
            let mut sum = T::load::<S>(c.add(j), count);
            for p in 0..k {
                let factor = <T as Lane>::Of::<S>::splat(left.add(p).read());
                sum = sum.add(factor.mul(T::load::<S>(right.add(p * n + j), count)));
            }
            T::store::<S>(c.add(j), sum, count);
        }
        j += count;
    }
}
