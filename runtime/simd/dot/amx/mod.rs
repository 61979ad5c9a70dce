//! Products on a processor's matrix unit (Intel's AMX): bytes as they are, floats as sums of bf16.
//!
//! A tile has 16 rows of 64 bytes. An instruction multiplies 16 rows of the left operand with 16 columns of the
//! right one, 32 bf16 or 64 bytes deep, and adds to 16 × 16 sums. An f32 is the sum of three bf16, exactly: of the
//! nine products of two such sums the six largest are taken, the others are below 2⁻²⁵ of the whole. So sums are
//! as good as f32's, and twice as fast as fused multiply-adds. (Henry, Tang, Heinecke, "Leveraging the bfloat16
//! Artificial Intelligence Datatype For Higher-Precision Computations", 2019; cuBLAS calls it BF16x9.)
//!
//! What bf16 cannot split, infinities and NaN, is left to other kernels; so are numbers next to f32's largest.
//! The unit takes subnormal numbers for 0: what is lost is below 2⁻¹²⁶ times the other factor.

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
mod few;
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
mod kernels;
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
mod none;
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
mod tiles;
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
mod vnni;

use super::kernels::Number;
use super::product::{Problem, blocks};
use super::{Operand, Scratch, Strided};
use crate::element::Kind;
use crate::simd::InstructionSet;
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
use few::few_rows;
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
use kernels::{Unit, multiply};
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
use none::{Unit, few_rows, lay_out, multiply, vnni};
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
use tiles::lay_out;

/// Lines of a tile, and words of a line.
pub(super) const LINES: usize = 16;
/// Bytes of a tile.
const TILE: usize = 1024;
/// Bytes of a line of a tile.
const LINE: usize = 64;
/// Columns of which the right operand is laid out at once.
const COLUMNS: usize = 512;
/// Rows of which the left operand is laid out at once.
const ROWS: usize = 64;
/// Tiles along the contracted axis, times parts: what is laid out at once stays in the second-level cache.
const STEPS: usize = 48;

/// Strips of lines that are multiplied at once: as many lines as the processor follows on its own. Asking for them by
/// instructions would fill the buffers that the loads need.
const STRIPS: usize = 2;
/// Floats of fewer rows cost vectors no more time than memory takes.
const FEWEST: usize = 5;

/// How elements of an operand lie in tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As so many bf16, whose sum they are: a tile for each.
    Halves(usize),
    /// As they are.
    Bytes {
        /// i8, not u8.
        signed: bool,
    },
}

impl Form {
    /// Of elements of this kind, for sums of `T`.
    pub(super) fn of<T: Number>(kind: Kind) -> Option<Form> {
        let (floats, integers) = (T::is_plain(Kind::F32), T::is_plain(Kind::I32));
        match kind {
            Kind::F32 if floats => Some(Form::Halves(3)),
            Kind::F16 if floats => Some(Form::Halves(2)),
            Kind::Bf16 | Kind::F8E4m3 | Kind::F8E5m2 if floats => Some(Form::Halves(1)),
            Kind::I8 if integers => Some(Form::Bytes { signed: true }),
            Kind::U8 if integers => Some(Form::Bytes { signed: false }),
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

    pub(super) fn parts(self) -> usize {
        match self {
            Form::Halves(parts) => parts,
            Form::Bytes { .. } => 1,
        }
    }

    /// Contracted elements of a tile.
    pub(super) fn depth(self) -> usize {
        match self {
            Form::Halves(_) => 32,
            Form::Bytes { .. } => 64,
        }
    }

    /// Bytes of 16 lines of so many contracted elements.
    pub(super) fn strip(self, k: usize) -> usize {
        k.div_ceil(self.depth()) * self.parts() * TILE
    }
}

/// Which operand: lines of the left one are rows of tiles, those of the right one columns of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Its free axis counts rows of the product.
    Left,
    /// Its free axis counts columns.
    Right,
}

/// An operand, or a part of it, to be laid out in tiles: `[strip of 16 lines][step][part][16][64 bytes]`, zero
/// beyond its ends.
pub(super) struct Task {
    pub(super) which: Which,
    pub(super) form: Form,
    pub(super) from: Strided,
    pub(super) lines: usize,
    pub(super) k: usize,
    pub(super) to: *mut u8,
}

/// One instruction after the other for 32 rows and 32 columns.
struct Block<T> {
    /// The first rows of the left operand, and 16 further on.
    a: [*const u8; 2],
    /// Bytes from one of them to the next, and from a step to the next.
    a_row: usize,
    a_step: usize,
    /// The first columns of the right operand, and 16 further on.
    b: [*const u8; 2],
    steps: usize,
    /// What is brought to the second-level cache meanwhile: a tile a step, at any address.
    soon: *const u8,
    c: *mut T,
    ldc: usize,
    accumulate: bool,
}

/// The right operand of a launch in tiles, from some column and contracted element on.
#[derive(Clone, Copy, Debug)]
pub struct TiledTile {
    /// The first column's strip, at its first step.
    pub(super) ptr: *const u8,
    /// Bytes from a strip to the next.
    pub(super) strip: usize,
    pub(super) form: Form,
    /// The same in place.
    pub(super) source: Strided,
}

/// Larger operands in three parts come from memory slower than they are split again.
const SPLIT_ONCE: usize = 1 << 20;

/// What a right operand is laid out as once per launch, if products of `rows` rows at once gain.
pub(super) fn form_of_packed(
    isa: InstructionSet,
    kind: Kind,
    rows: usize,
    n: usize,
    k: usize,
) -> Option<Form> {
    let form = Form::of::<f32>(kind).or_else(|| Form::of::<i32>(kind))?;
    (multiplies(isa, form) && pays(form, rows, n, k, true) && !is_split_again(form, n, k)).then_some(form)
}

/// Whether each block of rows of a product splits the right operand anew, which is then not packed.
pub(super) fn is_left_in_place(isa: InstructionSet, kind: Kind, rows: usize, n: usize, k: usize) -> bool {
    let form = Form::of::<f32>(kind).or_else(|| Form::of::<i32>(kind));
    let gains = |form| pays(form, rows, n, k, false) && is_split_again(form, n, k);
    Unit::is_available(isa) && form.is_some_and(gains)
}

fn is_split_again(form: Form, n: usize, k: usize) -> bool {
    form == Form::Halves(3) && n.div_ceil(LINES).saturating_mul(form.strip(k)) > SPLIT_ONCE
}

/// Lays out one strip of a right operand; false if a number cannot be split.
///
/// # Safety
/// The processor has AVX-512; the task's elements are readable and its tiles writable.
pub(super) unsafe fn lay_out_strip(task: &Task) -> bool {
    // SAFETY: the same contract.
    unsafe { lay_out(task) }
}

/// Whether there is one that products with this instruction set use.
pub(super) fn is_available(isa: InstructionSet) -> bool {
    Unit::is_available(isa)
}

/// Whether tiles gain over vectors: operands are laid out for this, which few rows or columns do not repay.
fn pays(form: Form, m: usize, n: usize, k: usize, packed: bool) -> bool {
    let lines = if packed { 2 * m } else { m };
    let least = match form {
        Form::Halves(3) if packed => 32,
        Form::Halves(3) => 64,
        Form::Halves(_) => 48,
        Form::Bytes { .. } => 8,
    };
    k >= 16 && m > 12 && n > 12 && lines.saturating_mul(n) >= least * (lines.saturating_add(n))
}

/// Whether operands in tiles of this form are multiplied: by a unit, bytes by vectors too.
pub(super) fn multiplies(isa: InstructionSet, form: Form) -> bool {
    Unit::is_available(isa) || (matches!(form, Form::Bytes { .. }) && vnni::is_available(isa))
}

/// How a product of operands in tiles is computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Few rows, with lines that are read where they are: on a unit.
    Few(Form, Form),
    /// Few rows of bytes, with lines that are read where they are: by vectors.
    Lines(Form, Form),
    /// Both sides in tiles.
    Tiles(Form, Form),
}

impl Way {
    /// None: vectors are as fast, or there is no unit.
    pub(super) fn of<T: Number>(isa: InstructionSet, problem: &Problem<T>) -> Option<Way> {
        let (left, right) = (Form::of::<T>(problem.a.kind)?, right_form::<T>(problem.b)?);
        if !multiplies(isa, right) {
            return None;
        }
        if Unit::is_available(isa) && is_few(problem, right) {
            return Some(Way::Few(left, right));
        }
        if matches!(right, Form::Bytes { .. }) && vnni::is_available(isa) && vnni::is_few(problem) {
            return Some(Way::Lines(left, right));
        }
        let gains = pays(right, problem.m, problem.n, problem.k, false);
        (gains || !matches!(problem.b, Operand::Strided(_))).then_some(Way::Tiles(left, right))
    }

    /// The forms of both sides.
    pub(super) fn forms(self) -> (Form, Form) {
        match self {
            Way::Few(left, right) | Way::Lines(left, right) | Way::Tiles(left, right) => (left, right),
        }
    }
}

/// Products of parts that one product of elements takes: of parts `i` and `j` those with `i + j ≤ 2`.
pub(super) fn products(left: Form, right: Form) -> usize {
    (0..left.parts()).map(|i| right.parts().min(3 - i.min(3))).sum()
}

/// Multiplies zeros, as bf16, that stay in the first-level cache, so many thousand times: how many multiply-adds that
/// was. 0 without a unit.
pub(super) fn exercise(isa: InstructionSet, rounds: usize) -> f64 {
    /// Steps of one call; two operands of two strips each.
    const LONG: usize = 4;
    if !Unit::is_available(isa) {
        return 0.0;
    }
    let unit = Unit::enter();
    let scratch = &mut Scratch::new();
    let operands = scratch.room::<u8>((4 * LONG + 1) * TILE);
    // SAFETY: so many bytes are writable.
    unsafe { operands.write_bytes(0, (4 * LONG + 1) * TILE) };
    let strip = |at: usize| operands.wrapping_add(at * LONG * TILE).cast_const();
    let mut sums = [0.0f32; 4 * LINES * LINES];
    let block = Block {
        a: [strip(0), strip(1)],
        a_row: LINE,
        a_step: TILE,
        b: [strip(2), strip(3)],
        steps: LONG,
        soon: operands,
        c: sums.as_mut_ptr(),
        ldc: 2 * LINES,
        accumulate: false,
    };
    for _ in 0..1000 * rounds {
        // SAFETY: two strips of rows, two of columns, `LONG` steps long; 32 × 32 sums.
        unsafe { multiply::<f32>(&unit, (Form::Halves(1), Form::Halves(1)), &block) };
    }
    let of_step = 2 * LINES * 2 * LINES * Form::Halves(1).depth();
    (1000 * rounds * LONG * of_step) as f64
}

/// Whether few rows meet lines that can be read where they are.
fn is_few<T>(problem: &Problem<T>, lines: Form) -> bool {
    let Operand::Strided(b) = problem.b else { return false };
    let gains = match lines {
        Form::Halves(_) => b.kind == Kind::Bf16 && problem.m >= FEWEST,
        Form::Bytes { .. } => true,
    };
    let is_whole = problem.k.is_multiple_of(lines.depth()) && b.contracted == 1 && b.free > 0;
    problem.m <= LINES && problem.n >= STRIPS * LINES && gains && is_whole
}

/// Computes the product.
///
/// # Safety
/// As [`dot_f32`](super::dot_f32); `way` is this problem's.
pub(super) unsafe fn product<T: Number>(
    isa: InstructionSet,
    way: Way,
    problem: &Problem<T>,
    scratch: &mut Scratch,
) {
    // SAFETY: the same contract.
    unsafe {
        match way {
            Way::Few(rows, lines) => few_rows(isa, (rows, lines), problem, scratch),
            Way::Lines(rows, lines) => vnni::few_rows((rows, lines), problem, scratch),
            Way::Tiles(left, right) => in_tiles(isa, (left, right), problem, scratch),
        }
    }
}

/// # Safety
/// As [`product`], where the way is [`Way::Tiles`].
unsafe fn in_tiles<T: Number>(
    isa: InstructionSet,
    (left, right): (Form, Form),
    problem: &Problem<T>,
    scratch: &mut Scratch,
) {
    let Problem { m, n, k, a, b, .. } = *problem;
    let unit = Unit::is_available(isa).then(Unit::enter);
    // Steps of one side are steps of the other.
    let steps = match unit {
        Some(_) => (STEPS / left.parts().max(right.parts())).max(1),
        None => vnni::STEPS,
    };
    let depth = steps * left.depth();
    let left_bytes = ROWS.min(m).div_ceil(LINES) * left.strip(depth.min(k));
    let right_bytes = COLUMNS.min(n).div_ceil(LINES) * right.strip(depth.min(k));
    let memory = scratch.room::<u8>(left_bytes + right_bytes);
    let spare = &mut Scratch::new();
    for j in (0..n).step_by(COLUMNS) {
        let columns = COLUMNS.min(n - j);
        for p in (0..k).step_by(depth) {
            let k = depth.min(k - p);
            // SAFETY: these columns and contracted elements exist, and the scratch has room for them.
            let tiles = unsafe { right_tiles(b, right, (j, columns), (p, k), memory.add(left_bytes)) };
            for i in (0..m).step_by(ROWS) {
                let rows = ROWS.min(m - i);
                let from = a.at(i, p);
                let part = Problem {
                    m: rows,
                    n: columns,
                    k,
                    a: from,
                    b: Operand::Strided(in_place(b).at(j, p)),
                    // SAFETY: row `i` and column `j` exist.
                    c: unsafe { problem.c.add(i * problem.ldc + j) },
                    ldc: problem.ldc,
                    accumulate: problem.accumulate || p > 0,
                };
                // SAFETY: a part of the product; the tiles hold its operands, which nobody else writes.
                unsafe {
                    let rows = left_tiles(&part, (left, right), memory);
                    match (&tiles, rows, &unit) {
                        (Some(tiles), Some(rows), Some(unit)) => {
                            block(&part, (left, right), &rows, tiles, unit);
                        }
                        (Some(tiles), Some(rows), None) => vnni::block(&part, (left, right), &rows, tiles),
                        _ => blocks(isa, &part, spare),
                    }
                }
            }
        }
    }
}

fn right_form<T: Number>(b: Operand) -> Option<Form> {
    match b {
        Operand::Strided(b) => Form::of::<T>(b.kind),
        Operand::Packed(_) => None,
        Operand::Tiled(tile) => Some(tile.form),
    }
}

fn in_place(b: Operand) -> Strided {
    match b {
        Operand::Strided(b) => b,
        Operand::Tiled(tile) => tile.source,
        Operand::Packed(_) => unreachable!("panels have no form in tiles"),
    }
}

/// Strips of a right operand: one every so many bytes.
struct Strips {
    ptr: *const u8,
    strip: usize,
    /// Not in the second-level cache yet.
    is_far: bool,
}

/// Rows of a left operand.
struct Rows {
    ptr: *const u8,
    /// Bytes of a row, of a step, of 16 rows.
    row: usize,
    step: usize,
    strip: usize,
    /// How many lie there as whole strips; the others lie in tiles at `rest`.
    whole: usize,
    rest: *const u8,
    rest_strip: usize,
}

/// # Safety
/// As [`product`], of columns `j.0 .. j.0 + j.1` and contracted elements `p.0 .. p.0 + p.1`; `memory` has room.
unsafe fn right_tiles(
    b: Operand,
    form: Form,
    (j, columns): (usize, usize),
    (p, k): (usize, usize),
    memory: *mut u8,
) -> Option<Strips> {
    match b {
        Operand::Tiled(tile) => {
            let at = j / LINES * tile.strip + form.strip(p);
            Some(Strips { ptr: tile.ptr.wrapping_add(at), strip: tile.strip, is_far: true })
        }
        Operand::Strided(b) => {
            let task = Task { which: Which::Right, form, from: b.at(j, p), lines: columns, k, to: memory };
            // SAFETY: the same contract.
            unsafe { lay_out(&task) }.then(|| Strips { ptr: memory, strip: form.strip(k), is_far: false })
        }
        Operand::Packed(_) => None,
    }
}

/// The left operand where it is, if its rows are whole lines of tiles, else in `memory`.
///
/// # Safety
/// As [`product`]; `memory` has room.
unsafe fn left_tiles<T>(part: &Problem<T>, (form, right): (Form, Form), memory: *mut u8) -> Option<Rows> {
    let Problem { m, k, a, .. } = *part;
    // Infinities in place would meet the parts of other numbers that are 0.
    let is_plain = match form {
        Form::Bytes { .. } => true,
        Form::Halves(_) => a.kind == Kind::Bf16 && right == Form::Halves(1),
    };
    let in_place = is_plain && a.contracted == 1 && a.free > 0 && k.is_multiple_of(form.depth());
    let whole = if in_place { m / LINES * LINES } else { 0 };
    let strip = form.strip(k);
    let task = Task { which: Which::Left, form, from: a.at(whole, 0), lines: m - whole, k, to: memory };
    // SAFETY: the same contract.
    if whole < m && !unsafe { lay_out(&task) } {
        return None;
    }
    let row = a.free.unsigned_abs() * a.kind.size();
    Some(Rows { ptr: a.ptr, row, step: LINE, strip: LINES * row, whole, rest: memory, rest_strip: strip })
}

impl Rows {
    /// Where strip `at` begins, and bytes from row to row and from step to step.
    fn strip(&self, at: usize, form: Form) -> (*const u8, usize, usize) {
        let whole = self.whole / LINES;
        if at < whole {
            (self.ptr.wrapping_add(at * self.strip), self.row, self.step)
        } else {
            (self.rest.wrapping_add((at - whole) * self.rest_strip), LINE, form.parts() * TILE)
        }
    }
}

/// # Safety
/// The rows and strips are those of the part's operands.
unsafe fn block<T: Number>(
    part: &Problem<T>,
    (left, right): (Form, Form),
    rows: &Rows,
    strips: &Strips,
    unit: &Unit,
) {
    let Problem { m, n, k, c, ldc, accumulate, .. } = *part;
    let steps = k.div_ceil(left.depth());
    let (row_strips, column_strips) = (m.div_ceil(LINES), n.div_ceil(LINES));
    for j in (0..column_strips).step_by(2) {
        let b = [j, (j + 1).min(column_strips - 1)].map(|at| strips.ptr.wrapping_add(at * strips.strip));
        // The next columns come from afar while these are multiplied.
        let ahead = strips.ptr.wrapping_add(if strips.is_far { (j + 2) * strips.strip } else { 0 });
        let (mut i, mut turn) = (0, 0);
        while i < row_strips {
            let (first, a_row, a_step) = rows.strip(i, left);
            let next = (i + 1 < row_strips).then(|| rows.strip(i + 1, left));
            // Both where they are, or both in tiles.
            let next = next.filter(|next| (next.1, next.2) == (a_row, a_step));
            let height = if next.is_some() { 2 * LINES } else { LINES };
            let a = [first, next.map_or(first, |next| next.0)];
            let (row, column) = (i * LINES, j * LINES);
            let (rows, columns) = (height.min(m - row), (2 * LINES).min(n - column));
            let to = c.wrapping_add(row * ldc + column);
            let (own, done) = (steps * right.parts() * TILE, turn * steps * TILE);
            let soon = ahead.wrapping_add(if done < own { done } else { strips.strip + (done - own) % own });
            turn += 1;
            let whole = Block { a, a_row, a_step, b, steps, soon, c: to, ldc, accumulate };
            if (rows, columns) == (2 * LINES, 2 * LINES) {
                // SAFETY: two strips of rows, two of columns, `steps` long; 32 × 32 sums at `to`.
                unsafe { multiply(unit, (left, right), &whole) };
            } else {
                let mut corner = [T::default(); 4 * LINES * LINES];
                let task = Block { c: corner.as_mut_ptr(), ldc: 2 * LINES, accumulate: false, ..whole };
                // SAFETY: as above.
                unsafe { multiply(unit, (left, right), &task) };
                for (r, line) in corner.chunks_exact(2 * LINES).enumerate().take(rows) {
                    for (x, sum) in line.iter().enumerate().take(columns) {
                        // SAFETY: row and column exist in `c`.
                        unsafe {
                            let to = to.add(r * ldc + x);
                            *to = if accumulate { T::plus(*to, *sum) } else { *sum };
                        }
                    }
                }
            }
            i += height / LINES;
        }
    }
}
