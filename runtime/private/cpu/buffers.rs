//! Tile buffers in a program's workspace.

use crate::element::Element;
use crate::simd::{Lane, Simd, Vector};

/// How many elements of an axis a buffer has room for, so that each row starts on a cache line.
#[must_use]
pub fn room(block: i32) -> usize {
    (Ord::max(block, 1) as usize).next_multiple_of(16)
}

/// How many rows take steps together, at most `most`, if their lanes have so much room: as many as stay in the first
/// cache with what they become.
#[inline(always)]
#[must_use]
pub fn rows_at_once(most: usize, rooms: &[usize]) -> usize {
    const ELEMENTS: usize = 2048;
    let longest = rooms.iter().copied().max().unwrap_or(1);
    Ord::max(Ord::min(ELEMENTS / Ord::max(longest, 1), most), 1)
}

/// Lays buffers out one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slots {
    bytes: usize,
}

impl Slots {
    /// Room for `elements` elements of `size` bytes; its offset. What is larger than memory makes the sum
    /// `usize::MAX`, which no launch gets.
    pub fn add(&mut self, elements: &[usize], size: usize) -> usize {
        let at = self.bytes;
        let bytes = elements.iter().try_fold(size, |bytes, n| bytes.checked_mul(*n));
        let end = bytes
            .and_then(|bytes| bytes.checked_next_multiple_of(64))
            .and_then(|bytes| at.checked_add(bytes));
        self.bytes = end.unwrap_or(usize::MAX);
        at
    }

    /// All of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Writes `x` to `n` elements.
///
/// # Safety
/// They are writable.
#[inline(always)]
pub unsafe fn fill<S: Simd, E: Element>(to: *mut E, n: usize, x: E::Lane) {
    let lanes = <E::Lane as Lane>::Of::<S>::splat(x);
    let mut at = 0;
    while at < n {
        // SAFETY: `at + min(LANES, n - at) <= n`.
        unsafe { E::store::<S>(to.add(at), lanes, S::LANES.min(n - at)) };
        at += S::LANES;
    }
}
