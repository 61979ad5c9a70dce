//! Memory aligned to cache lines: scratch memory of a thread, and a free list for packed operands.

use crate::pages::Pages;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

const ALIGNMENT: usize = 64;
/// Bytes from which on a buffer is on large pages of its own.
const LARGE: usize = 1 << 20;

/// Uninitialised bytes.
#[derive(Debug)]
pub(super) struct Buffer {
    base: NonNull<u8>,
    bytes: usize,
    /// Where `base` is in pages of its own.
    pages: Option<Pages>,
}

// SAFETY: it owns its memory and hands out only a raw pointer.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, ALIGNMENT)
            .unwrap_or_else(|_| panic!("{bytes} bytes for a packed operand are more than memory can be"))
    }

    pub(super) fn new(bytes: usize) -> Buffer {
        if bytes == 0 {
            return Buffer { base: NonNull::dangling(), bytes, pages: None };
        }
        if bytes >= LARGE
            && let Some(pages) = Pages::new(bytes)
        {
            return Buffer { base: pages.base(), bytes, pages: Some(pages) };
        }
        let layout = Buffer::layout(bytes);
        // SAFETY: not 0 bytes.
        let base = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        Buffer { base, bytes, pages: None }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn pointer(&self) -> *mut u8 {
        self.base.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes > 0 && self.pages.is_none() {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.base.as_ptr(), Buffer::layout(self.bytes)) }
        }
    }
}

/// Memory in which operands are laid out during a product. Grows to what the largest product needed;
/// keep one a thread.
///
/// ```
/// let scratch = tilewright::simd::dot::Scratch::new();
/// # drop(scratch);
/// ```
#[derive(Debug)]
pub struct Scratch(Buffer);

impl Scratch {
    /// Empty.
    #[must_use]
    pub fn new() -> Scratch {
        Scratch(Buffer::new(0))
    }

    /// Room for at least so many elements, with left-over contents.
    pub(super) fn room<T>(&mut self, elements: usize) -> *mut T {
        let bytes = elements.saturating_mul(size_of::<T>());
        if bytes > self.0.bytes {
            self.0 = Buffer::new(0);
            self.0 = Buffer::new(bytes.next_power_of_two());
        }
        self.0.pointer().cast()
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

/// Buffers that no operand uses, to be used again: fresh memory costs a page fault every 4 KiB.
static FREE: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());
/// How many are kept.
const KEPT: usize = 16;

/// A buffer of at least so many bytes, and not of many more than that.
pub(super) fn take(bytes: usize) -> Buffer {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let fitting = free.iter().enumerate().filter(|(_, buffer)| (bytes..=4 * bytes).contains(&buffer.bytes));
    let best = fitting.min_by_key(|(_, buffer)| buffer.bytes).map(|(idx, _)| idx);
    match best {
        Some(idx) => free.swap_remove(idx),
        None => {
            drop(free);
            Buffer::new(bytes)
        }
    }
}

/// Gives a buffer back; of too many the oldest goes.
pub(super) fn give(buffer: Buffer) {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if buffer.bytes > 0 {
        free.push(buffer);
    }
    let oldest = (free.len() > KEPT).then(|| free.remove(0));
    drop(free);
    drop(oldest);
}
