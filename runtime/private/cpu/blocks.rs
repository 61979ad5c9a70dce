//! Blocks of sequential loops, and how large blocks are when nobody says.

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

/// How many rows make a program of about `elements` elements, when a row has the product of `row`.
#[must_use]
pub fn per_program(elements: usize, row: &[i32]) -> i32 {
    let row = row.iter().fold(1usize, |product, n| product.saturating_mul((*n).max(1) as usize));
    (elements / row).clamp(1, 1 << 20) as i32
}

/// Columns of a block of a matrix product: whole panels.
#[must_use]
pub fn columns(isa: crate::simd::InstructionSet) -> i32 {
    let width = crate::simd::dot::panel_width(isa);
    (256usize.next_multiple_of(width)) as i32
}
