//! A product: blocks of columns, of the contracted axis and of rows, then microkernels.
//!
//! ```text
//! for 480 columns
//!   for DEPTH contracted elements     (what is written is read again for more; a panel stays in the L2 cache)
//!     lay out the right operand in panels, unless it is
//!     for 288 rows                    (of the left operand, about as much as the L2 cache holds)
//!       lay out the left operand in rows ROW apart, unless its rows are contiguous and need no widening
//!       for panels, for a few rows: microkernel
//! ```

use super::inner::{
    ALONE_STEP, INNER_DEPTH, INNER_ROWS, Inner, OUTER_ROWS, OUTER_STEP, Outer, follows_lines, inner_depth,
};
use super::kernels::{Kernels, Number};
use super::layout::{lay_out, stored};
use super::micro::{DEPTH, LINE, ROW, STEPS, Tile};
use super::register::Stored;
use super::{Operand, Scratch, Strided, TiledTile, amx};
use crate::simd::{InstructionSet, is_amd};
use std::ptr;

/// Columns of which the right operand is packed at once.
const COLUMNS: usize = 480;
/// Rows of which the left operand is laid out at once.
const ROWS: usize = 288;

/// The arguments of a product.
pub(super) struct Problem<T> {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) a: Strided,
    pub(super) b: Operand,
    pub(super) c: *mut T,
    pub(super) ldc: usize,
    pub(super) accumulate: bool,
}

/// `plus`: one more number a column to add at last, or null.
///
/// # Safety
/// As [`linear_f32`](super::linear_f32).
pub(super) unsafe fn product<T: Number>(
    isa: InstructionSet,
    problem: &Problem<T>,
    plus: *const T,
    scratch: &mut Scratch,
) {
    let Problem { m, n, .. } = *problem;
    // SAFETY: the same contract.
    unsafe {
        match Way::of(isa, problem) {
            Way::Nothing if problem.accumulate => {}
            Way::Nothing => (0..m).for_each(|i| problem.c.add(i * problem.ldc).write_bytes(0, n)),
            Way::Unit(way) => amx::product(isa, way, problem, scratch),
            Way::Inner(few) => few.run(isa, scratch),
            Way::Outer => outer(isa, problem, scratch),
            Way::Blocks => return blocks_and(isa, problem, plus, scratch),
        }
        if !plus.is_null() && m > 0 {
            add(isa, (m, n), plus, problem.c, problem.ldc);
        }
    }
}

/// How a product is computed.
pub(super) enum Way {
    /// There is nothing to multiply.
    Nothing,
    /// On a matrix unit.
    Unit(amx::Way),
    /// As inner products of lines whose contracted axis is contiguous.
    Inner(Few),
    /// As sums of lines whose other axis is contiguous.
    Outer,
    /// By microkernels.
    Blocks,
}

impl Way {
    pub(super) fn of<T: Number>(isa: InstructionSet, problem: &Problem<T>) -> Way {
        if problem.m == 0 || problem.n == 0 || problem.k == 0 {
            Way::Nothing
        } else if let Some(way) = amx::Way::of(isa, problem) {
            Way::Unit(way)
        } else if let Some(few) = Few::of(isa, problem) {
            Way::Inner(few)
        } else if is_outer(isa, problem) {
            Way::Outer
        } else {
            Way::Blocks
        }
    }
}

/// A product of few rows (or columns, then with the sides exchanged) with lines whose contracted axis is
/// contiguous.
pub(super) struct Few {
    pub(super) rows: usize,
    lines: usize,
    k: usize,
    row: Strided,
    line: Strided,
    c: *mut f32,
    c_row: usize,
    c_line: usize,
    accumulate: bool,
}

impl Few {
    fn of<T: Number>(isa: InstructionSet, problem: &Problem<T>) -> Option<Few> {
        let Problem { m, n, k, a, b, c, ldc, accumulate } = *problem;
        T::kernels(isa).few?;
        let Operand::Strided(b) = b else { return None };
        // Only f32 has inner kernels, so `c` is f32.
        let c = c.cast();
        let runs = |side: Strided| side.contracted == 1 && stored::<T>(side.kind).is_some();
        if m <= INNER_ROWS && runs(b) {
            Some(Few { rows: m, lines: n, k, row: a, line: b, c, c_row: ldc, c_line: 1, accumulate })
        } else if n <= INNER_ROWS && runs(a) {
            Some(Few { rows: n, lines: m, k, row: b, line: a, c, c_row: 1, c_line: ldc, accumulate })
        } else {
            None
        }
    }

    /// # Safety
    /// As [`product`].
    unsafe fn run(&self, isa: InstructionSet, scratch: &mut Scratch) {
        let (Some(few), Some(stored)) = (f32::kernels(isa).few, stored::<f32>(self.line.kind)) else {
            unreachable!("Few::of has looked");
        };
        let inner = &few.inner[stored as usize][self.rows - 1];
        let (mut one, mut most) = (inner.one, inner.lines);
        if self.rows == 1 && stored != Stored::Bits32 && follows_lines() {
            (one, most) = (few.inner_alone[stored as usize], usize::MAX);
        }
        let depth = inner_depth(self.rows, self.k);
        let lda = self.k.min(depth).next_multiple_of(16);
        let a = scratch.room::<f32>(self.rows * lda);
        let asks = stored != Stored::Bits32 || self.rows > 4 || !follows_lines();
        for p in (0..self.k).step_by(depth) {
            let k = depth.min(self.k - p);
            // SAFETY: rows and lines exist up to `p + k`; the scratch has room for `rows` of `lda`.
            unsafe { lay_out(isa, self.row.at(0, p), (self.rows, k), a, lda) };
            let mut line = 0;
            while line < self.lines {
                let several = self.lines - line >= most;
                let task = Inner {
                    k,
                    a,
                    lda,
                    b: self.line.at(line, p).ptr,
                    ldb: self.line.free,
                    asks,
                    c: self.c.wrapping_add(line * self.c_line),
                    row: self.c_row,
                    column: self.c_line,
                    accumulate: self.accumulate || p > 0,
                };
                // SAFETY: as above; `line` and as many more as the kernel takes exist.
                unsafe { (if several { inner.several } else { one })(&task) };
                line += if several { most } else { 1 };
            }
        }
    }
}

/// Elements of the product that outer kernels add to again and again: an eighth of a second-level cache. The more
/// columns, the longer the runs in which the other side is read, which memory rewards.
const OUTER_ELEMENTS: usize = 1 << 16;

/// Whether the product is one of few rows with lines whose other axis is contiguous, and microkernels would not
/// read these well where they are: they are far apart, need widening, or are for a row or two.
fn is_outer<T: Number>(isa: InstructionSet, problem: &Problem<T>) -> bool {
    let Operand::Strided(b) = problem.b else { return false };
    let is_far = !(-NEAR..=NEAR).contains(&b.contracted);
    T::kernels(isa).few.is_some()
        && problem.m <= OUTER_ROWS
        && b.free == 1
        && stored::<T>(b.kind).is_some()
        // A microkernel of one row or two waits for its sums.
        && (is_far || problem.m <= 2 || !T::is_plain(b.kind))
}

/// # Safety
/// As [`product`], where [`is_outer`] holds.
unsafe fn outer<T: Number>(isa: InstructionSet, problem: &Problem<T>, scratch: &mut Scratch) {
    let Problem { m, n, k, a, b, ldc, accumulate, .. } = *problem;
    let Operand::Strided(b) = b else { return };
    let (Some(few), Some(stored)) = (f32::kernels(isa).few, stored::<f32>(b.kind)) else { return };
    let [one, mut several] = few.outer[stored as usize][m - 1];
    let mut step = OUTER_STEP;
    if m == 1 && stored == Stored::Bits32 && follows_lines() {
        (several, step) = (few.outer_alone, ALONE_STEP);
    }
    // Only f32 has outer kernels, so `c` is f32.
    let c = problem.c.cast::<f32>();
    let lda = k.min(INNER_DEPTH).next_multiple_of(16);
    let left = scratch.room::<f32>(m * lda);
    if !accumulate {
        // SAFETY: `n` elements of each row are writable.
        (0..m).for_each(|i| unsafe { c.add(i * ldc).write_bytes(0, n) });
    }
    for first in (0..k).step_by(INNER_DEPTH) {
        let depth = INNER_DEPTH.min(k - first);
        // SAFETY: rows exist up to `first + depth`; the scratch has room for `m` of `lda`.
        unsafe { lay_out(isa, a.at(0, first), (m, depth), left, lda) };
        let columns = (OUTER_ELEMENTS / m).next_multiple_of(16);
        for j in (0..n).step_by(columns) {
            let mut p = 0;
            while p < depth {
                let (kernel, lines) = if depth - p >= step { (several, step) } else { (one, 1) };
                let task = Outer {
                    n: columns.min(n - j),
                    a: left.wrapping_add(p),
                    lda,
                    b: b.at(j, first + p).ptr,
                    ldb: b.contracted,
                    c: c.wrapping_add(j),
                    ldc,
                };
                // SAFETY: these columns exist, and `p` and as many more contracted elements as the kernel takes.
                unsafe { kernel(&task) };
                p += lines;
            }
        }
    }
}

/// The left operand of some rows, ready for microkernels: element `(i, p)` at `ptr + i · row + p`.
struct Left<T> {
    ptr: *const T,
    row: isize,
}

/// The right operand of some columns and contracted elements, ready for microkernels: element `(j, p)`
/// of panel `q` at `ptr + q · panel + j + p · ld`.
struct Panels<T> {
    ptr: *const T,
    panel: usize,
    width: usize,
    ld: isize,
}

/// # Safety
/// As [`product`], of at least one row and column, and `k > 0`.
pub(super) unsafe fn blocks<T: Number>(isa: InstructionSet, problem: &Problem<T>, scratch: &mut Scratch) {
    // SAFETY: the same contract.
    unsafe { blocks_and(isa, problem, ptr::null(), scratch) }
}

/// Adds `plus` to each row of the product: one more contracted element, that is 1 on the left.
///
/// # Safety
/// As [`product`], which has been computed; `m > 0`.
unsafe fn add<T: Number>(isa: InstructionSet, (m, n): (usize, usize), plus: *const T, c: *mut T, ldc: usize) {
    let ones = [T::ONE; STEPS];
    let left = Left { ptr: ones.as_ptr(), row: 0 };
    let panels = Panels { ptr: plus, panel: 0, width: usize::MAX, ld: 0 };
    // SAFETY: `c` has `m` rows of `n` columns, and `plus` as many columns.
    unsafe { block(T::kernels(isa), &panels, (m, n, 1), &left, (c, ldc), (c, ldc)) }
}

/// # Safety
/// As [`blocks`] and, for `plus`, [`product`].
unsafe fn blocks_and<T: Number>(
    isa: InstructionSet,
    problem: &Problem<T>,
    plus: *const T,
    scratch: &mut Scratch,
) {
    let Problem { m, n, k, a, c, ldc, .. } = *problem;
    let kernels = T::kernels(isa);
    let reads_left = T::is_plain(a.kind) && (a.contracted == 1 || k == 1);
    let part = even_part::<T>(k);
    let left = if reads_left { 0 } else { ROWS.min(m) * ROW };
    let right = COLUMNS.min(n).next_multiple_of(kernels.width()) * part;
    let memory = scratch.room::<T>(left + if is_ready(problem) { 0 } else { right });
    for j in (0..n).step_by(COLUMNS) {
        let columns = COLUMNS.min(n - j);
        for p in (0..k).step_by(part) {
            let depth = part.min(k - p);
            // SAFETY: these columns and contracted elements exist, and the scratch has room for them.
            let panels = unsafe { panels(isa, problem, (j, columns), (p, depth), memory.add(left)) };
            for i in (0..m).step_by(ROWS) {
                let rows = ROWS.min(m - i);
                let accumulate = problem.accumulate || p > 0;
                let row = plus.wrapping_add(if plus.is_null() { 0 } else { j });
                // SAFETY: these rows exist, and the scratch has room for them.
                unsafe {
                    let from = a.at(i, p);
                    let rows_of = if reads_left {
                        Left { ptr: from.ptr.cast(), row: from.free }
                    } else {
                        lay_out(isa, from, (rows, depth), memory, ROW);
                        Left { ptr: memory, row: ROW as isize }
                    };
                    let to = c.add(i * ldc + j);
                    let onto = match accumulate {
                        true => (to.cast_const(), ldc),
                        // All that there is to add is added at once.
                        false if depth == k => (row, 0),
                        false => (ptr::null(), 0),
                    };
                    block(kernels, &panels, (rows, columns, depth), &rows_of, (to, ldc), onto);
                    if accumulate && p + depth == k && !row.is_null() {
                        add(isa, (rows, columns), row, to, ldc);
                    }
                }
            }
        }
    }
}

/// Contracted elements of each part of so many: as few parts as there can be, and even ones.
fn even_part<T>(k: usize) -> usize {
    let most = DEPTH * 4 / size_of::<T>();
    k.div_ceil(k.div_ceil(most)).next_multiple_of(16).min(most)
}

/// Few rows of `c` read the right operand so seldom that packing it does not pay.
const FEW_READS: usize = 2 * 12;
/// Rows of the right operand that are nearer than this spread over the sets of a cache.
const NEAR: isize = 128;

/// Whether microkernels read the right operand where it is: as panels, or as rows whose elements are
/// contiguous, unless many microkernels would read rows that meet in few sets of the L1 cache.
pub(super) fn is_ready<T: Number>(problem: &Problem<T>) -> bool {
    match problem.b {
        Operand::Packed(_) => true,
        Operand::Tiled(_) => false,
        Operand::Strided(b) => {
            let pays = problem.m <= FEW_READS || (-NEAR..=NEAR).contains(&b.contracted);
            T::is_plain(b.kind) && pays && (b.free == 1 || problem.n == 1)
        }
    }
}

/// # Safety
/// Columns `j.0 .. j.0 + j.1` and contracted elements `p.0 .. p.0 + p.1` exist; `memory` has room for them
/// in panels, if they are not ready.
unsafe fn panels<T: Number>(
    isa: InstructionSet,
    problem: &Problem<T>,
    (j, columns): (usize, usize),
    (p, depth): (usize, usize),
    memory: *mut T,
) -> Panels<T> {
    let kernels = T::kernels(isa);
    match problem.b {
        // `COLUMNS` is a multiple of every width.
        Operand::Packed(tile) => Panels {
            ptr: tile.ptr.wrapping_add(j / tile.width * tile.panel + p * tile.width).cast(),
            panel: tile.panel,
            width: tile.width,
            ld: tile.width as isize,
        },
        Operand::Strided(b) if is_ready(problem) => {
            // One panel, as its columns follow one another.
            Panels { ptr: b.at(j, p).ptr.cast(), panel: 0, width: usize::MAX, ld: b.contracted }
        }
        Operand::Strided(b) | Operand::Tiled(TiledTile { source: b, .. }) => {
            let width = kernels.panel(columns);
            let panel = width * depth;
            for column in (0..columns).step_by(width) {
                let size = (depth, width.min(columns - column));
                let to = memory.wrapping_add(column / width * panel);
                // SAFETY: promised by the caller.
                unsafe { lay_out(isa, b.at(j + column, p).transposed(), size, to, width) };
            }
            Panels { ptr: memory, panel, width, ld: width as isize }
        }
    }
}

/// # Safety
/// `left` has `m` rows, the panels have `n` columns and `c` has both, `k` deep; so has what is added to, if anything.
unsafe fn block<T: Number>(
    kernels: &Kernels<T>,
    panels: &Panels<T>,
    (m, n, k): (usize, usize, usize),
    left: &Left<T>,
    (c, ldc): (*mut T, usize),
    (onto, ld_onto): (*const T, usize),
) {
    let asks = ptr::eq(onto, c) && !is_amd();
    let mut j = 0;
    while j < n {
        let (panel, column) = (j / panels.width, j % panels.width);
        let there = (panels.width - column).min(n - j);
        let registers = kernels.registers(there);
        let columns = there.min(registers * kernels.lanes);
        let last = columns - (registers - 1) * kernels.lanes;
        let micro = kernels.micro[registers - 1];
        let b = panels.ptr.wrapping_add(panel * panels.panel + column);
        // What comes next: the neighbour, or of the first panel what follows along the contracted axis.
        let next = if j + columns < n {
            b.wrapping_add(panels.panel)
        } else {
            panels.ptr.wrapping_add(k.wrapping_mul(panels.width))
        };
        let turn = k / STEPS * 2 * LINE / size_of::<T>();
        let is_far = panels.panel > 0;
        let enough = if is_far { next.wrapping_add(k * panels.width) } else { b };
        let is_whole = (registers, last) == (kernels.micro.len(), kernels.lanes);
        let alone = kernels.alone.get(m - 1).filter(|_| is_far && is_whole);
        let mut i = 0;
        for (rows, count) in groups(m, micro.len()) {
            let (a, c) = (left.ptr.wrapping_offset(i as isize * left.row), c.wrapping_add(i * ldc + j));
            let at = next.wrapping_add(i / rows * turn);
            let soon = if is_far && at < enough { at } else { b };
            let tile = Tile {
                k,
                a,
                lda: left.row,
                b,
                ldb: panels.ld,
                c,
                ldc,
                last,
                onto: if onto.is_null() { onto } else { onto.wrapping_add(i * ld_onto + j) },
                ld_onto,
                asks,
                groups: count,
                enough,
                soon,
            };
            // SAFETY: `count` times `rows` rows from `i` on and `columns` columns from `j` on exist.
            unsafe { alone.unwrap_or(&micro[rows - 1][usize::from(last < kernels.lanes)])(&tile) };
            i += rows * count;
        }
        j += columns;
    }
}

/// `m` rows in as few groups of at most `most` as there can be, their sizes equal or one apart: sizes, and how many
/// groups have it.
fn groups(m: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = m.div_ceil(most);
    let (size, larger) = (m / count, m % count);
    [(size + 1, larger), (size, count - larger)].into_iter().filter(|(_, count)| *count > 0)
}
