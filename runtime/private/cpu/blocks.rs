//! Blocks of sequential loops, and how large blocks are when nobody says.

use crate::simd::InstructionSet;

/// The blocks `(begin, end)` of a sequential loop.
#[derive(Clone, Debug)]
pub struct Blocks {
    next: i64,
    end: i64,
    block: i64,
}

/// Blocks of `block` indices of `begin .. end`, clamped to `0 .. length`.
#[inline(always)]
#[must_use]
pub fn blocks(begin: i32, end: i32, length: i32, block: i32) -> Blocks {
    let (begin, end) = bound(begin, end, length);
    Blocks { next: begin.into(), end: end.into(), block: block.max(1).into() }
}

/// `begin .. end` clamped to `0 .. length`.
#[inline(always)]
#[must_use]
pub fn bound(begin: i32, end: i32, length: i32) -> (i32, i32) {
    (begin.clamp(0, length.max(0)), end.clamp(0, length.max(0)))
}

impl Iterator for Blocks {
    type Item = (i32, i32);
    #[inline(always)]
    fn next(&mut self) -> Option<(i32, i32)> {
        if self.next >= self.end {
            return None;
        }
        let begin = self.next;
        self.next = (begin + self.block).min(self.end);
        // Both are within the bounds, which are i32.
        Some((begin as i32, self.next as i32))
    }
}

/// How many rows make a program that only moves and computes, when a row has the product of `row`: large enough to
/// hide the cost of starting it, small enough for the second-level cache.
#[must_use]
pub fn per_program(row: &[i32]) -> i32 {
    const ELEMENTS: usize = 32 << 10;
    (ELEMENTS / elements(row)).clamp(1, 1 << 20) as i32
}

/// Of `rows` that go through a pipeline: many times as many where every thread has enough, as a program's first and
/// last row have nothing to run along with. 32 rows of 4096 were measured to be 1.05 to 1.15 times as fast as 8 (softmax
/// and cross entropy, an EPYC of family 26), 128 another 1.02 to 1.05 times.
#[must_use]
pub fn per_program_of_pipelined_rows(rows: i32, row: &[i32], threads: usize) -> i32 {
    const PROGRAMS: usize = 32;
    const TIMES: i32 = 16;
    let even = rows.max(0) as usize / threads.saturating_mul(PROGRAMS).max(1);
    let least = per_program(row);
    i32::try_from(even).unwrap_or(i32::MAX).clamp(least, least.saturating_mul(TIMES))
}

/// Whether rows of such lengths go through a pipeline even if they stay in the caches: reading a row ahead is worth more
/// then than having a few wait for one another.
#[inline(always)]
#[must_use]
pub fn are_long(lengths: &[i32]) -> bool {
    const ELEMENTS: i32 = 1024;
    lengths.iter().any(|length| *length >= ELEMENTS)
}

fn elements(row: &[i32]) -> usize {
    row.iter().fold(1, |product: usize, n| product.saturating_mul((*n).max(1) as usize))
}

/// Blocks of matrix products.
struct Sizes {
    /// Rows of a block.
    rows: i32,
    /// Columns of a block, about.
    columns: i32,
    /// For several threads: how many blocks of rows and of columns there are at least, if they are not short.
    few: (i32, i32),
}

/// What stays in the second-level cache with a block of columns.
const VECTORS: Sizes = Sizes { rows: 144, columns: 288, few: (2, 4) };
/// Of floats on matrix units, which lay operands out part by part: the larger the blocks, the less often.
const UNITS: Sizes = Sizes { rows: 512, columns: 256, few: (2, 2) };

/// Of bytes on matrix units.
const BYTES: Sizes = Sizes { rows: 256, columns: 256, few: (2, 2) };

fn sizes((isa, of_floats): (InstructionSet, bool), rows: i32, columns: i32) -> &'static Sizes {
    if rows < 64 || columns < 64 || !crate::simd::dot::has_matrix_unit(isa) {
        &VECTORS
    } else if of_floats {
        &UNITS
    } else {
        &BYTES
    }
}

/// Rows of a block of a matrix product, of floats or else of integers, of `columns` columns over `length` rows for so
/// many threads: blocks of about the same size.
#[must_use]
pub fn rows(of: (InstructionSet, bool), length: i32, columns: i32, threads: usize) -> i32 {
    let sizes = sizes(of, length, columns);
    even(length, sizes.rows, if threads > 1 { sizes.few.0.min(length / 64) } else { 1 })
}

/// Rows of a block of which products with many columns are computed in turn, and those columns: what lies between
/// the products stays in the second-level cache.
const IN_TURN: (i32, i32) = (72, 528);

/// Rows of a block of which products with many columns are computed in turn.
#[must_use]
pub fn few_rows(length: i32, threads: usize) -> i32 {
    even(length, IN_TURN.0, if threads > 1 { VECTORS.few.0.min(length / 64) } else { 1 })
}

/// Columns of such a product in one turn of a loop, which keeps what it carries: the fewer turns the better. Of several
/// turns whole panels, and no multiple of 512, of which rows would meet in few sets of a cache.
#[must_use]
pub fn columns_in_turn(isa: InstructionSet, length: i32) -> i32 {
    let panel = crate::simd::dot::panel_width(isa, length.max(0) as usize) as i32;
    let columns = even(length, IN_TURN.1, 1).saturating_add(panel - 1) / panel * panel;
    if columns % 512 == 0 && columns < length { columns + panel } else { columns }
}

/// How much of the contracted axis is multiplied at once, in a product of `rows` rows: of few rows the other side is
/// read in long runs.
#[must_use]
pub fn depth(rows: i32) -> i32 {
    if rows <= 12 { 4096 } else { 512 }
}

/// Columns of a block of a matrix product of `rows` rows over `length` columns for so many threads: blocks of
/// about the same size, of whole panels. Those of few rows are long, as what is multiplied with them is read in
/// place.
#[must_use]
pub fn columns(of: (InstructionSet, bool), length: i32, rows: i32, threads: usize) -> i32 {
    let panel = crate::simd::dot::panel_width(of.0, length.max(0) as usize) as i32;
    let sizes = sizes(of, rows, length);
    let is_short = rows <= 12;
    let most = if is_short { 16 * sizes.columns } else { sizes.columns };
    let few = match (threads, is_short) {
        (..=1, _) => 1,
        (_, true) => (threads.min(1 << 10) as i32).min(length / 96),
        (_, false) => sizes.few.1.min(length / 96),
    };
    even(length, most, few).saturating_add(panel - 1) / panel * panel
}

/// The length over a number of blocks of at most `most`, of which there are at least `few`.
fn even(length: i32, most: i32, few: i32) -> i32 {
    let blocks = (length.max(1) as u32).div_ceil(most as u32).max(few.max(1) as u32);
    (length.max(1) as u32).div_ceil(blocks) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_make_programs_of_about_equal_size() {
        assert_eq!(
            [&[1][..], &[384], &[4096], &[4096, 2], &[1 << 30]].map(per_program),
            [32768, 85, 8, 4, 1]
        );
        // At most sixteen times as many, and 32 programs for each thread.
        assert_eq!(
            [64, 512, 1024, 1 << 20].map(|m| per_program_of_pipelined_rows(m, &[4096], 1)),
            [8, 16, 32, 128]
        );
        assert_eq!(
            [64, 512, 1024, 1 << 20].map(|m| per_program_of_pipelined_rows(m, &[4096], 2)),
            [8, 8, 16, 128]
        );
    }

    #[test]
    fn blocks_of_products_are_even_and_of_whole_panels() {
        assert_eq!(
            [0, 1, 12, 64, 100, 256, 300, 1024].map(|n| few_rows(n, 2)),
            [1, 1, 12, 64, 50, 64, 60, 69]
        );
        assert_eq!([72, 73, 1024].map(|n| few_rows(n, 1)), [72, 37, 69]);
        for isa in [InstructionSet::Scalar, InstructionSet::Avx2, InstructionSet::Avx512] {
            for n in [529, 1000, 1024, 2048, 4096, i32::MAX] {
                let columns = columns_in_turn(isa, n);
                let panel = crate::simd::dot::panel_width(isa, n as usize) as i32;
                assert!(columns % panel == 0 && columns % 512 != 0, "{isa:?} {n}: {columns}");
            }
            assert!(
                [0, 1, 512, 528, 529, 2048, i32::MAX]
                    .iter()
                    .all(|n| (1..=576).contains(&columns_in_turn(isa, *n)))
            );
        }
        assert_eq!([64, 300, 1024].map(|n| rows((InstructionSet::Scalar, true), n, 1000, 1)), [64, 100, 128]);
        for isa in [InstructionSet::Scalar, InstructionSet::Avx2, InstructionSet::Avx512] {
            for length in [0, 1, 30, 64, 96, 256, 384, 1000, 1024, 4096, i32::MAX] {
                let panel = crate::simd::dot::panel_width(isa, length as usize);
                let block = columns((isa, true), length, 100, 2);
                let (one, some) = (columns((isa, true), length, 1, 2), columns((isa, true), length, 13, 2));
                assert!(one >= some, "{isa:?} {length}");
                assert!(block > 0 && (block as usize).is_multiple_of(panel), "{isa:?} {length}: {block}");
                assert!(
                    block <= VECTORS.columns + panel as i32 || length <= block,
                    "{isa:?} {length}: {block}"
                );
            }
        }
    }
}
