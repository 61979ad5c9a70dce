//! Products in portable Rust: four lanes in an array, which the compiler may turn into SSE2 or NEON.

use super::inner::{
    ALONE_STEP, Inner, Outer, alone_table, inner, inner_alone, inner_table, outer, outer_table,
};
use super::kernels::{Few, Kernels};
use super::layout::{self, Layout, Task};
use super::micro::{Tile, micro as body, micro_table};
use super::register::{Register, Stored, Widening};
use crate::{f8e4m3, f8e5m2};
use half::{bf16, f16};

/// Four lanes.
#[derive(Clone, Copy)]
pub(super) struct Four<T>([T; 4]);

macro_rules! four {
    ($($T:ty: |$sum:ident, $x:ident, $y:ident| $mul_add:expr, |$l:ident, $r:ident| $add:expr;)*) => {$(
        impl Register for Four<$T> {
            type Scalar = $T;
            type Mask = usize;
            const LANES: usize = 4;
            #[inline(always)]
            unsafe fn mask(n: usize) -> usize {
                n
            }
            #[inline(always)]
            unsafe fn zero() -> Self {
                Four([<$T>::default(); 4])
            }
            #[inline(always)]
            unsafe fn splat(x: $T) -> Self {
                Four([x; 4])
            }
            #[inline(always)]
            unsafe fn load(from: *const $T) -> Self {
                // SAFETY: the caller says that four elements are readable.
                Four(unsafe { from.cast::<[$T; 4]>().read_unaligned() })
            }
            #[inline(always)]
            unsafe fn load_first(from: *const $T, n: usize) -> Self {
                // SAFETY: the caller says that `n` elements are readable.
                Four(std::array::from_fn(|i| if i < n { unsafe { *from.add(i) } } else { <$T>::default() }))
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $T) {
                // SAFETY: the caller says that four elements are writable.
                unsafe { to.cast::<[$T; 4]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $T, n: usize) {
                for (i, x) in self.0.into_iter().enumerate().take(n) {
                    // SAFETY: the caller says that `n` elements are writable.
                    unsafe { *to.add(i) = x }
                }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                Four(std::array::from_fn(|i| {
                    let ($l, $r) = (self.0[i], other.0[i]);
                    $add
                }))
            }
            #[inline(always)]
            unsafe fn mul_add(self, by: Self, plus: Self) -> Self {
                Four(std::array::from_fn(|i| {
                    let ($x, $y, $sum) = (self.0[i], by.0[i], plus.0[i]);
                    $mul_add
                }))
            }
        }
    )*};
}
four! {
    f32: |sum, x, y| sum + x * y, |l, r| l + r;
    f64: |sum, x, y| sum + x * y, |l, r| l + r;
    i32: |sum, x, y| sum.wrapping_add(x.wrapping_mul(y)), |l, r| l.wrapping_add(r);
    i64: |sum, x, y| sum.wrapping_add(x.wrapping_mul(y)), |l, r| l.wrapping_add(r);
}

impl Widening for Four<f32> {
    #[inline(always)]
    unsafe fn widen(stored: Stored, from: *const u8) -> Self {
        // SAFETY: the caller says that four elements are readable.
        unsafe { Self::widen_first(stored, from, 4) }
    }
    #[inline(always)]
    unsafe fn widen_first(stored: Stored, from: *const u8, n: usize) -> Self {
        // SAFETY: the caller says that `n` elements of the stored type are readable; `i < n`.
        let element = |i: usize| unsafe {
            match stored {
                Stored::Bits32 => *from.cast::<f32>().add(i),
                Stored::F16 => (*from.cast::<f16>().add(i)).to_f32(),
                Stored::Bf16 => (*from.cast::<bf16>().add(i)).to_f32(),
                Stored::E4m3 => (*from.cast::<f8e4m3>().add(i)).to_f32(),
                Stored::E5m2 => (*from.cast::<f8e5m2>().add(i)).to_f32(),
            }
        };
        Four(std::array::from_fn(|i| if i < n { element(i) } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        (self.0[0] + self.0[1]) + (self.0[2] + self.0[3])
    }
    #[inline(always)]
    unsafe fn store_transposed(lines: &[Self; 16], to: *mut f32, ld: usize, rows: usize, columns: usize) {
        for r in 0..rows {
            for (c, line) in lines.iter().enumerate().take(columns) {
                // SAFETY: the caller says that these rows and columns are writable.
                unsafe { *to.add(r * ld + c) = line.0[r] }
            }
        }
    }
}

unsafe fn micro<R: Register, const M: usize, const V: usize, const TAIL: bool, const ALONE: bool>(
    tile: &Tile<R::Scalar>,
) {
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
unsafe fn outer_of<
    R: Widening,
    const S: usize,
    const M: usize,
    const P: usize,
    const V: usize,
    const ASKS: bool,
>(
    task: &Outer,
) {
    // SAFETY: the same contract.
    unsafe { outer::<R, S, M, P, V, ASKS>(task) }
}
unsafe fn copy(task: &Task) {
    // SAFETY: the same contract.
    unsafe { layout::copy::<Four<f32>>(task) }
}
unsafe fn transpose(task: &Task) {
    // SAFETY: the same contract.
    unsafe { layout::transpose::<Four<f32>>(task) }
}

static LAYOUT: Layout = Layout { copy, transpose };
static FEW: Few = Few {
    inner: inner_table!(inner_of, Four<f32>: 1: 4 4, 2: 4, 3: 4, 4: 2, 5: 2, 6: 2, 7: 1, 8: 1, 9: 1, 10: 1, 11: 1, 12: 1),
    outer: outer_table!(outer_of, Four<f32>),
    outer_alone: outer_of::<Four<f32>, 0, 1, ALONE_STEP, 2, false>,
    inner_alone: alone_table!(alone_of, Four<f32>),
};

macro_rules! tables {
    ($($TABLE:ident: $T:ty, $layout:expr, $few:expr;)*) => {$(
        pub(super) static $TABLE: Kernels<$T> = Kernels {
            lanes: 4,
            micro: &[
                micro_table!(micro, Four<$T>, 1: 1 2 3 4),
                micro_table!(micro, Four<$T>, 2: 1 2 3 4),
            ],
            alone: &[],
            few: $few,
            layout: $layout,
        };
    )*};
}
tables! {
    F32: f32, Some(&LAYOUT), Some(&FEW);
    F64: f64, None, None;
    I32: i32, Some(&LAYOUT), None;
    I64: i64, None, None;
}
