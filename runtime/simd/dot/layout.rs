//! Laying operands out in rows: `to[r · ld + c] = from(r, c)`, widened.
//!
//! The same function packs both operands: the left one into rows of its contracted axis, the right one,
//! with its axes exchanged, into panels whose rows are contracted indices.

use super::Strided;
use super::kernels::Number;
use super::micro::hidden;
use super::register::{Stored, Widening};
use crate::element::Kind;
use crate::simd::InstructionSet;

/// Fast layouts of elements that end up as 32 bits.
pub(super) struct Layout {
    /// Columns are contiguous in memory: rows are copied.
    pub(super) copy: unsafe fn(&Task),
    /// Rows are contiguous in memory: blocks are transposed in registers.
    pub(super) transpose: unsafe fn(&Task),
}

/// What to lay out.
pub(super) struct Task {
    stored: Stored,
    from: *const u8,
    /// Elements between rows (`copy`) or between columns (`transpose`).
    stride: isize,
    rows: usize,
    columns: usize,
    to: *mut f32,
    ld: usize,
}

/// `to[r · ld + c]` becomes element `(free r, contracted c)` of `from`, for `r < rows`, `c < columns`.
///
/// # Safety
/// The processor has `isa`; those elements are readable, and those of `to` are writable.
pub(super) unsafe fn lay_out<T: Number>(
    isa: InstructionSet,
    from: Strided,
    (rows, columns): (usize, usize),
    to: *mut T,
    ld: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    if let (Some(layout), Some(stored)) = (T::kernels(isa).layout, stored::<T>(from.kind)) {
        let task = |stride| Task { stored, from: from.ptr, stride, rows, columns, to: to.cast(), ld };
        if from.contracted == 1 || columns == 1 {
            // SAFETY: the same contract; `T` has 32 bits, which is all that the layout looks at.
            return unsafe { (layout.copy)(&task(from.free)) };
        }
        if from.free == 1 {
            // SAFETY: as above.
            return unsafe { (layout.transpose)(&task(from.contracted)) };
        }
    }
    for r in 0..rows {
        // SAFETY: row `r < rows`; elements of `Number`s need no initialisation before they are written.
        let row = unsafe {
            let row = to.add(r * ld);
            row.write_bytes(0, columns);
            std::slice::from_raw_parts_mut(row, columns)
        };
        // SAFETY: `columns` elements of row `r` are readable.
        unsafe { T::widen(from.kind, from.at(r, 0).ptr, from.contracted, row) };
    }
}

/// How the fast layouts and the inner kernels name a kind, if `T` has 32 bits and they know the kind.
pub(super) fn stored<T: Number>(kind: Kind) -> Option<Stored> {
    let is_f32 = T::is_plain(Kind::F32);
    match kind {
        Kind::F16 if is_f32 => Some(Stored::F16),
        Kind::Bf16 if is_f32 => Some(Stored::Bf16),
        Kind::F8E4m3 if is_f32 => Some(Stored::E4m3),
        Kind::F8E5m2 if is_f32 => Some(Stored::E5m2),
        plain if T::is_plain(plain) && plain.size() == 4 => Some(Stored::Bits32),
        Kind::F32
        | Kind::F64
        | Kind::F16
        | Kind::Bf16
        | Kind::F8E4m3
        | Kind::F8E5m2
        | Kind::I8
        | Kind::U8
        | Kind::I16
        | Kind::U16
        | Kind::I32
        | Kind::U32
        | Kind::I64
        | Kind::Bool => None,
    }
}

/// How many rows ahead elements are asked for: of short rows that are far apart the processor follows none.
const AHEAD: usize = 16;
/// How many lines ahead they are, of lines that are transposed.
const LINES_AHEAD: usize = 64;

/// # Safety
/// As [`Layout`]: the task's elements are readable, and writable; the register's features are there.
#[inline(always)]
pub(super) unsafe fn copy<R: Widening>(task: &Task) {
    let size = task.stored.size();
    for r in 0..task.rows {
        let from = task.from.wrapping_offset(r as isize * task.stride * size as isize);
        let to = task.to.wrapping_add(r * task.ld);
        let ahead = (AHEAD as isize * task.stride).wrapping_mul(size as isize);
        let mut c = 0;
        // SAFETY: `c + LANES <= columns`, then the rest of the row.
        unsafe {
            while c + R::LANES <= task.columns {
                R::prefetch(from.wrapping_add(c * size).wrapping_offset(ahead).cast());
                R::widen(task.stored, from.add(c * size)).store(to.add(c));
                c += R::LANES;
            }
            if c < task.columns {
                let rest = task.columns - c;
                R::widen_first(task.stored, from.add(c * size), rest).store_first(to.add(c), R::mask(rest));
            }
        }
    }
}

/// # Safety
/// As [`copy`].
#[inline(always)]
pub(super) unsafe fn transpose<R: Widening>(task: &Task) {
    let size = task.stored.size();
    for c in (0..task.columns).step_by(R::LANES) {
        let columns = R::LANES.min(task.columns - c);
        for r in (0..task.rows).step_by(R::LANES) {
            let rows = R::LANES.min(task.rows - r);
            let at = |line: usize| {
                let elements = (c + line) as isize * task.stride + r as isize;
                task.from.wrapping_offset(elements * size as isize)
            };
            let to = task.to.wrapping_add(r * task.ld + c);
            // SAFETY: lines `c .. c + columns`, and of them elements `r .. r + rows`.
            unsafe {
                let mut ahead = at(LINES_AHEAD);
                for _ in 0..R::LANES {
                    R::prefetch(ahead.cast());
                    ahead = hidden(ahead.wrapping_offset(task.stride * size as isize));
                }
                if task.stored == Stored::Bits32 && (rows, columns) == (R::LANES, R::LANES) {
                    R::copy_transposed(at(0).cast(), task.stride, to, task.ld);
                    continue;
                }
                let mut lines = [R::zero(); 16];
                for (line, block) in lines.iter_mut().take(columns).enumerate() {
                    *block = if rows == R::LANES {
                        R::widen(task.stored, at(line))
                    } else {
                        R::widen_first(task.stored, at(line), rows)
                    };
                }
                R::store_transposed(&lines, to, task.ld, rows, columns);
            }
        }
    }
}
