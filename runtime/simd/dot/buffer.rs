//! Memory aligned to cache lines that only grows.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

const ALIGNMENT: usize = 64;

/// Initialised bytes with left-over contents.
#[derive(Debug)]
pub(super) struct Buffer {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a buffer owns its memory.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer gives a pointer only; whoever follows it answers for it.
unsafe impl Sync for Buffer {}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer { base: NonNull::dangling(), bytes: 0 }
    }
}

impl Buffer {
    /// A pointer to at least `count` values of `T`, each zero bytes or left over from an earlier use.
    pub(super) fn reserve<T: Copy>(&mut self, count: usize) -> *mut T {
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        let bytes = count.checked_mul(size_of::<T>()).expect("a product's panels fit into memory");
        if bytes > self.bytes {
            *self = Buffer::new(bytes.next_power_of_two());
        }
        self.base.as_ptr().cast()
    }

    fn new(bytes: usize) -> Buffer {
        let layout = layout(bytes);
        // SAFETY: `bytes` is not 0.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) });
        Buffer { base: base.unwrap_or_else(|| handle_alloc_error(layout)), bytes }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, ALIGNMENT).expect("a product's panels fit into memory")
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: `new` allocated `base` with this layout.
            unsafe { dealloc(self.base.as_ptr(), layout(self.bytes)) };
        }
    }
}
