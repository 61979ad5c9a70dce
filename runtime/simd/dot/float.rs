//! Products in f32.

use super::pack::{self, with_float};
use super::{Operand, Scratch, Shape, Strided};
use crate::element::{Element, Kind};
use crate::simd::{Floats, Simd, Vector};
use half::{bf16, f16};

/// How much of `k` one pass takes: a panel of 32 columns is then 32 KiB, which L1 holds.
const DEPTH: usize = 256;
/// Floats between two rows of the packed left operand: constant, so that the microkernel's loads are
/// displacements, and no multiple of 4 KiB, so that rows do not meet in one cache set.
const ROW: usize = DEPTH + 16;
/// Up to this many rows a right operand with contiguous `k` is read in place.
const FEW_ROWS: usize = 3;

/// See [`super::dot_f32`]; `ROWS × (VECTORS · LANES)` is the microkernel's block.
///
/// # Safety
/// As for [`super::dot_f32`], inside a function with `S`'s target features.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a product has two operands, a result and their sizes")]
pub(super) unsafe fn product<S: Simd, const ROWS: usize, const VECTORS: usize>(
    m: usize,
    n: usize,
    k: usize,
    a: Strided,
    b: Operand,
    c: *mut f32,
    ldc: usize,
    accumulate: bool,
    scratch: &mut Scratch,
) {
    let shape = Shape { m, n, k };
    if k == 0 && !accumulate {
        for i in 0..m {
            // SAFETY: row `i` of `c` is writable.
            unsafe { c.add(i * ldc).write_bytes(0, n) };
        }
    }
    let mut from = 0;
    while from < k {
        let pass = Shape { k: DEPTH.min(k - from), ..shape };
        let add = accumulate || from > 0;
        let rest = match b {
            Operand::Strided(b) => Operand::Strided(b.at(0, from)),
            Operand::Packed(b) => Operand::Packed(b.deeper(from)),
        };
        // SAFETY: this pass is a part of the product that the caller answers for.
        unsafe { one_pass::<S, ROWS, VECTORS>(pass, a.at(0, from), rest, c, ldc, add, scratch) };
        from += pass.k;
    }
}

/// # Safety
/// As for `product`; `shape.k <= DEPTH`.
#[inline(always)]
unsafe fn one_pass<S: Simd, const ROWS: usize, const VECTORS: usize>(
    shape: Shape,
    a: Strided,
    b: Operand,
    c: *mut f32,
    ldc: usize,
    add: bool,
    scratch: &mut Scratch,
) {
    let width = VECTORS * S::LANES;
    let left = scratch.left.reserve::<f32>(shape.m * ROW);
    // SAFETY: `left` has `m` rows of `ROW >= k` floats.
    unsafe { pack::left::<S>(a, shape.m, shape.k, left, ROW) };
    if let Operand::Strided(b) = b
        && shape.m <= FEW_ROWS
        && b.contracted == 1
    {
        // SAFETY: as the caller says; the left operand is packed.
        unsafe { few_rows::<S>(shape, left, b, c, ldc, add) };
        return;
    }
    let mut j = 0;
    while j < shape.n {
        let columns = width.min(shape.n - j);
        let (panel, stride) = match b {
            Operand::Packed(tile) => (tile.panel(j / width), width),
            Operand::Strided(b) if in_place::<ROWS>(b, shape, columns == width) => {
                (b.at(j, 0).ptr.cast::<f32>(), b.contracted.cast_unsigned())
            }
            Operand::Strided(b) => {
                let panel = scratch.right.reserve::<f32>(DEPTH * width);
                // SAFETY: `columns <= width`, `k <= DEPTH`, and the operand has these elements.
                unsafe { pack::panel::<S>(b.at(j, 0), columns, shape.k, panel, width) };
                (panel.cast_const(), width)
            }
        };
        // SAFETY: `panel` has `k` rows of `width` floats, `c` has `m` rows of `columns` from here.
        unsafe { one_panel::<S, ROWS, VECTORS>(shape, left, panel, stride, c.add(j), ldc, columns, add) };
        j += width;
    }
}

/// Rows of floats side by side are a panel already, if re-reading them costs nothing: few rows of `c` read
/// them, or they lie close together.
#[inline(always)]
fn in_place<const ROWS: usize>(b: Strided, shape: Shape, full: bool) -> bool {
    let near = (1..=128).contains(&b.contracted);
    b.kind == Kind::F32 && b.free == 1 && full && b.contracted >= 0 && (near || shape.m <= 2 * ROWS)
}

/// # Safety
/// `left` holds `m` rows, `panel` has `k` rows of `width` floats `stride` apart, `c` has `m` rows of
/// `columns <= width` floats.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a panel, its neighbours and their strides")]
unsafe fn one_panel<S: Simd, const ROWS: usize, const VECTORS: usize>(
    shape: Shape,
    left: *const f32,
    panel: *const f32,
    stride: usize,
    c: *mut f32,
    ldc: usize,
    columns: usize,
    add: bool,
) {
    let (k, width) = (shape.k, VECTORS * S::LANES);
    let mut edge = [[0.0f32; 16]; 24];
    let mut i = 0;
    while i < shape.m {
        let rows = if shape.m - i >= ROWS { ROWS } else { largest_power(shape.m - i).min(ROWS) };
        // SAFETY: `i + rows <= m`; the edge block has room for `ROWS * width` floats.
        unsafe {
            let (from, to) = (left.add(i * ROW), c.add(i * ldc));
            if columns == width {
                rows_of::<S, ROWS, VECTORS>(rows, k, from, panel, stride, to, ldc, add);
            } else {
                let block = edge.as_mut_ptr().cast::<f32>();
                rows_of::<S, ROWS, VECTORS>(rows, k, from, panel, stride, block, width, false);
                merge(block, width, rows, columns, to, ldc, add);
            }
        }
        i += rows;
    }
}

#[inline(always)]
fn largest_power(n: usize) -> usize {
    1 << n.ilog2()
}

/// # Safety
/// `from` has `rows` rows of `width`, `to` of `ldc` floats, of which `columns` are copied.
#[inline(always)]
unsafe fn merge(
    from: *const f32,
    width: usize,
    rows: usize,
    columns: usize,
    to: *mut f32,
    ldc: usize,
    add: bool,
) {
    for r in 0..rows {
        for j in 0..columns {
            // SAFETY: inside both blocks.
            unsafe {
                let (value, place) = (from.add(r * width + j).read(), to.add(r * ldc + j));
                place.write(if add { place.read() + value } else { value });
            }
        }
    }
}

/// # Safety
/// As for `block`, with `rows` rows: `ROWS`, 8, 4, 2 or 1.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "two panels, a block of the result and their strides")]
unsafe fn rows_of<S: Simd, const ROWS: usize, const VECTORS: usize>(
    rows: usize,
    k: usize,
    a: *const f32,
    b: *const f32,
    stride: usize,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    // SAFETY: as the caller says.
    unsafe {
        match rows {
            1 => block::<S, 1, VECTORS>(k, a, b, stride, c, ldc, add),
            2 => block::<S, 2, VECTORS>(k, a, b, stride, c, ldc, add),
            4 => block::<S, 4, VECTORS>(k, a, b, stride, c, ldc, add),
            8 if ROWS > 8 => block::<S, 8, VECTORS>(k, a, b, stride, c, ldc, add),
            _ => block::<S, ROWS, VECTORS>(k, a, b, stride, c, ldc, add),
        }
    }
}

/// The microkernel: `R` rows and `V` vectors of `c` in registers.
///
/// # Safety
/// `a` has `R` rows `ROW` floats apart, `b` has `k` rows of `V` vectors `stride` floats apart, `c` has `R`
/// rows of `V` vectors `ldc` floats apart.
#[inline(always)]
unsafe fn block<S: Simd, const R: usize, const V: usize>(
    k: usize,
    a: *const f32,
    b: *const f32,
    stride: usize,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let mut sums = [[S::F32::splat(0.0); V]; R];
    // SAFETY: all offsets are within the blocks that the caller describes.
    unsafe {
        if add {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = <f32 as Element>::load::<S>(c.add(r * ldc + v * S::LANES), S::LANES);
                }
            }
        }
        let mut b = b;
        for p in 0..k {
            let mut right = [S::F32::splat(0.0); V];
            for (v, right) in right.iter_mut().enumerate() {
                *right = <f32 as Element>::load::<S>(b.add(v * S::LANES), S::LANES);
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let left = S::F32::splat(a.add(r * ROW + p).read());
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = multiply_add::<S>(left, right, *sum);
                }
            }
            b = b.add(stride);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                <f32 as Element>::store::<S>(c.add(r * ldc + v * S::LANES), *sum, S::LANES);
            }
        }
    }
}

/// Fused where the instruction set has it: the portable one would call a function for each lane.
#[inline(always)]
fn multiply_add<S: Simd>(a: S::F32, b: S::F32, c: S::F32) -> S::F32 {
    if S::LANES > 4 { a.mul_add(b, c) } else { a.mul(b).add(c) }
}

/// Few rows against rows with contiguous `k`: dot products, each row of `b` read once.
///
/// # Safety
/// `left` holds `m` rows `ROW` apart; `b` is readable with `contracted == 1`; `c` as for `product`.
#[inline(always)]
unsafe fn few_rows<S: Simd>(shape: Shape, left: *const f32, b: Strided, c: *mut f32, ldc: usize, add: bool) {
    with_float!(b.kind, E => {
        for j in 0..shape.n {
            let row = b.at(j, 0).ptr.cast::<E>();
            for i in 0..shape.m {
                // SAFETY: row `j` of `b` and row `i` of the left operand have `k` elements.
                unsafe {
                    let sum = one_dot::<S, E>(left.add(i * ROW), row, shape.k);
                    let place = c.add(i * ldc + j);
                    place.write(if add { place.read() + sum } else { sum });
                }
            }
        }
    });
}

/// # Safety
/// Both have `k` elements.
#[inline(always)]
unsafe fn one_dot<S: Simd, E: Element<Lane = f32>>(a: *const f32, b: *const E, k: usize) -> f32 {
    let mut sums = [S::F32::splat(0.0); 4];
    let (lanes, mut p) = (S::LANES, 0);
    // SAFETY: everything read lies below `k`.
    unsafe {
        while p + 4 * lanes <= k {
            for (u, sum) in sums.iter_mut().enumerate() {
                let at = p + u * lanes;
                let left = <f32 as Element>::load::<S>(a.add(at), lanes);
                *sum = multiply_add::<S>(left, E::load::<S>(b.add(at), lanes), *sum);
            }
            p += 4 * lanes;
        }
        while p < k {
            let n = lanes.min(k - p);
            let left = <f32 as Element>::load::<S>(a.add(p), n);
            sums[0] = multiply_add::<S>(left, E::load::<S>(b.add(p), n), sums[0]);
            p += n;
        }
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3])).reduce_add()
}
