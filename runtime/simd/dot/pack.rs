//! Copies of operands in the order in which the microkernels read them.

use super::Strided;
use crate::element::{Element, Kind, Vector};
use crate::simd::{Lane, Simd, Vector as _};
use half::{bf16, f16};

/// Calls `$run::<…, E>` with the element type of a kind that computes in f32.
macro_rules! with_float {
    ($kind:expr, $E:ident => $run:expr) => {
        match $kind {
            Kind::F16 => {
                type $E = f16;
                $run
            }
            Kind::Bf16 => {
                type $E = bf16;
                $run
            }
            Kind::F32
            | Kind::F64
            | Kind::I8
            | Kind::U8
            | Kind::I16
            | Kind::U16
            | Kind::I32
            | Kind::U32
            | Kind::I64
            | Kind::Bool => {
                type $E = f32;
                $run
            }
        }
    };
}
pub(super) use with_float;

/// `rows × k` elements of a left operand, row by row, `stride` floats apart.
///
/// # Safety
/// The elements are readable, `to` has `rows * stride` floats, `k <= stride`.
#[inline(always)]
pub(super) unsafe fn left<S: Simd>(a: Strided, rows: usize, k: usize, to: *mut f32, stride: usize) {
    with_float!(a.kind, E => {
        for i in 0..rows {
            // SAFETY: row `i` of both is inside, as the caller says.
            unsafe { row::<S, E>(a.at(i, 0).ptr.cast(), a.contracted, k, to.add(i * stride)) };
        }
    });
}

/// # Safety
/// `k` elements `stride` apart are readable, `k` floats at `to` writable.
#[inline(always)]
unsafe fn row<S: Simd, E: Element<Lane = f32>>(from: *const E, stride: isize, k: usize, to: *mut f32) {
    let lanes = S::LANES;
    let mut p = 0;
    while p < k {
        let n = lanes.min(k - p);
        // SAFETY: `p .. p + n` is below `k`.
        unsafe {
            let values = if stride == 1 && n == lanes {
                E::load::<S>(from.add(p), lanes)
            } else {
                E::load_strided::<S>(from.offset(p.cast_signed() * stride), stride, n)
            };
            <f32 as Element>::store::<S>(to.add(p), values, n);
        }
        p += n;
    }
}

/// `columns × k` elements of a right operand as one panel `[k][width]`, zeros in the columns beyond.
///
/// # Safety
/// The elements are readable, `to` has `k * width` floats, `columns <= width`.
#[inline(always)]
pub(super) unsafe fn panel<S: Simd>(b: Strided, columns: usize, k: usize, to: *mut f32, width: usize) {
    with_float!(b.kind, E => {
        // SAFETY: as the caller says.
        unsafe {
            if b.free == 1 {
                panel_by_rows::<S, E>(b, columns, k, to, width);
            } else {
                panel_by_columns::<E>(b, columns, k, to, width);
            }
        }
    });
}

/// # Safety
/// As for `panel`.
#[inline(always)]
unsafe fn panel_by_rows<S: Simd, E: Element<Lane = f32>>(
    b: Strided,
    columns: usize,
    k: usize,
    to: *mut f32,
    width: usize,
) {
    for p in 0..k {
        let from = b.at(0, p).ptr.cast::<E>();
        let mut j = 0;
        while j < width {
            // SAFETY: at most the columns that exist are read, and `j + LANES <= width`.
            unsafe {
                let values = if j + S::LANES <= columns {
                    E::load::<S>(from.add(j), S::LANES)
                } else if j < columns {
                    E::load::<S>(from.add(j), columns - j)
                } else {
                    Vector::<S, E>::splat(0.0)
                };
                <f32 as Element>::store::<S>(to.add(p * width + j), values, S::LANES);
            }
            j += S::LANES;
        }
    }
}

/// Column after column: the reads are sequential, and the panel stays in L1.
///
/// # Safety
/// As for `panel`.
#[inline(always)]
unsafe fn panel_by_columns<E: Element<Lane = f32>>(
    b: Strided,
    columns: usize,
    k: usize,
    to: *mut f32,
    width: usize,
) {
    for j in 0..width {
        if j >= columns {
            for p in 0..k {
                // SAFETY: inside the panel.
                unsafe { to.add(p * width + j).write(0.0) };
            }
            continue;
        }
        let from = b.at(j, 0).ptr.cast::<E>();
        for p in 0..k {
            // SAFETY: column `j` exists, and the target is inside the panel.
            unsafe {
                let value = from.offset(p.cast_signed() * b.contracted).read();
                to.add(p * width + j).write(value.to_lane());
            }
        }
    }
}

/// `rows × k` elements of any operand that computes in `T`, widened, as `[rows][k]` or, transposed, `[k][rows]`.
///
/// # Safety
/// The elements are readable and compute in `T`; `to` has `rows * k` values.
#[inline(always)]
pub(super) unsafe fn widened<T: Lane>(a: Strided, rows: usize, k: usize, to: *mut T, by_row: bool) {
    macro_rules! copy {
        ($E:ty) => {
            for i in 0..rows {
                for p in 0..k {
                    let at = if by_row { i * k + p } else { p * rows + i };
                    // SAFETY: element `(i, p)` is readable and `at < rows * k`. Both sides compute in
                    // `T`, which is this element's lane type, so the copy has `T`'s size.
                    unsafe {
                        let lane = a.at(i, p).ptr.cast::<$E>().read_unaligned().to_lane();
                        to.add(at).write(std::mem::transmute_copy(&lane));
                    }
                }
            }
        };
    }
    match a.kind {
        Kind::F32 => copy!(f32),
        Kind::F64 => copy!(f64),
        Kind::F16 => copy!(f16),
        Kind::Bf16 => copy!(bf16),
        Kind::I8 => copy!(i8),
        Kind::U8 => copy!(u8),
        Kind::I16 => copy!(i16),
        Kind::U16 => copy!(u16),
        Kind::I32 => copy!(i32),
        Kind::U32 => copy!(u32),
        Kind::I64 => copy!(i64),
        Kind::Bool => copy!(bool),
    }
}
