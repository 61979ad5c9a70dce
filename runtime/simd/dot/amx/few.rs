//! Products of few rows with lines that are read where they are: as fast as memory brings them.
//!
//! The sides are exchanged. 16 lines of the right operand, which follow one another in memory, are rows of a tile as
//! they lie there; the few rows are laid out once, in as many parts as they need.

use super::super::kernels::Number;
use super::super::product::{Problem, blocks};
use super::super::{Operand, Scratch, Strided};
use super::kernels::{Unit, multiply_lines};
use super::tiles::{lay_out, turned};
use super::{Form, LINE, LINES, STRIPS, Task, Which};
use crate::simd::InstructionSet;

/// Contracted elements at once: the rows, in three parts, stay in the second-level cache.
const DEPTH: usize = 4096;

/// 32 lines by up to 16 rows.
pub(super) struct Lines {
    /// The strips' first lines.
    pub(super) strips: [*const u8; STRIPS],
    /// Bytes from a line to the next.
    pub(super) line: usize,
    /// The few rows, in tiles.
    pub(super) rows: *const u8,
    pub(super) steps: usize,
    /// `[strip][line][row]`.
    pub(super) sums: *mut u8,
}

/// What the instructions of [`multiply_lines`] write: 16 rows of sums for each line.
type Sums<T> = [[[T; LINES]; LINES]; STRIPS];

/// Computes the product.
///
/// # Safety
/// As [`product`](super::product), where the way is [`Way::Few`](super::Way).
pub(super) unsafe fn few_rows<T: Number>(
    isa: InstructionSet,
    (rows, lines): (Form, Form),
    problem: &Problem<T>,
    scratch: &mut Scratch,
) {
    let Problem { m, n, k, a, b, .. } = *problem;
    let Operand::Strided(b) = b else { return };
    let unit = Unit::enter();
    let memory = scratch.room::<u8>(rows.strip(DEPTH.min(k)));
    let spare = &mut Scratch::new();
    let whole = n / LINES * LINES;
    for p in (0..k).step_by(DEPTH) {
        let depth = DEPTH.min(k - p);
        // SAFETY: these columns and contracted elements exist.
        let part = |j: usize, n: usize| Problem {
            m,
            n,
            k: depth,
            a: a.at(0, p),
            b: Operand::Strided(b.at(j, p)),
            c: problem.c.wrapping_add(j),
            ldc: problem.ldc,
            accumulate: problem.accumulate || p > 0,
        };
        let task = Task { which: Which::Right, form: rows, from: a.at(0, p), lines: m, k: depth, to: memory };
        // SAFETY: the rows exist, and the scratch has room for them; then as the caller says, of a part.
        unsafe {
            if !lay_out(&task) {
                blocks(isa, &part(0, n), spare);
                continue;
            }
            for j in (0..whole).step_by(STRIPS * LINES) {
                let part = part(j, (STRIPS * LINES).min(whole - j));
                if !block(&part, (lines, rows), b.at(j, p), memory, &unit) {
                    blocks(isa, &part, spare);
                }
            }
            if whole < n {
                blocks(isa, &part(whole, n - whole), spare);
            }
        }
    }
}

/// False where a sum is no number: then nothing has been written. An infinity may have met the part of another number
/// that is 0.
///
/// # Safety
/// As [`few_rows`], of whole strips of lines, with its rows in tiles.
unsafe fn block<T: Number>(
    part: &Problem<T>,
    forms: (Form, Form),
    from: Strided,
    rows: *const u8,
    unit: &Unit,
) -> bool {
    let Problem { m, n, k, c, ldc, accumulate, .. } = *part;
    let line = from.free.unsigned_abs() * from.kind.size();
    let strip = |at: usize| from.ptr.wrapping_add(at.min(n / LINES - 1) * LINES * line);
    let mut sums: Sums<T> = [[[T::default(); LINES]; LINES]; STRIPS];
    let task = Lines {
        strips: [0, 1].map(strip),
        line,
        rows,
        steps: k * from.kind.size() / LINE,
        sums: (&raw mut sums).cast(),
    };
    // SAFETY: the strips' lines are `steps` long, and so are the rows; the sums are as large as two tiles.
    unsafe { multiply_lines(unit, forms, &task) };
    // Only what is no number differs from itself.
    #[expect(clippy::eq_op, reason = "NaN is what is looked for")]
    let is_odd = sums.iter().flatten().any(|line| line[..m].iter().any(|x| x != x));
    if is_odd {
        return false;
    }
    for (at, lines) in sums.iter().enumerate().take(n / LINES) {
        let mut columns = [[T::default(); LINES]; LINES];
        // SAFETY: the processor has AVX-512, as there is a unit; both have 16 lines of 16 words of 4 bytes.
        unsafe { turned((&raw const *lines).cast(), (&raw mut columns).cast()) };
        for (i, row) in columns.iter().enumerate().take(m) {
            for (x, sum) in row.iter().enumerate() {
                // SAFETY: row `i` of `c` has these columns.
                unsafe {
                    let to = c.add(i * ldc + at * LINES + x);
                    *to = if accumulate { T::plus(*to, *sum) } else { *sum };
                }
            }
        }
    }
    true
}
