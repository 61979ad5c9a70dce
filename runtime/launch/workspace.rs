//! Scratch memory for programs: per thread, aligned to cache lines, reused from launch to launch.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::ptr::NonNull;

use crate::tensor::ALIGNMENT;

thread_local! {
    /// Workspaces that no program uses. More than one only after launches nested on this thread.
    static IDLE: RefCell<Vec<Memory>> = const { RefCell::new(Vec::new()) };
}

struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    /// `None` if there is not that much.
    fn new(bytes: usize) -> Option<Memory> {
        let layout = Layout::from_size_align(bytes, ALIGNMENT).ok()?;
        // SAFETY: callers ask for more than 0 bytes.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Memory { base, layout })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `base` was allocated with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// At least `bytes` initialised bytes with left-over contents, this thread's until dropped.
pub(crate) struct Workspace {
    memory: Option<Memory>,
}

impl Workspace {
    /// `None` if there is not that much memory.
    pub(crate) fn take(bytes: usize) -> Option<Workspace> {
        if bytes == 0 {
            return Some(Workspace { memory: None });
        }
        let idle = IDLE.with_borrow_mut(Vec::pop);
        let large_enough = idle.filter(|memory| memory.layout.size() >= bytes);
        let memory = large_enough.or_else(|| Memory::new(bytes))?;
        Some(Workspace { memory: Some(memory) })
    }

    pub(crate) fn pointer(&self) -> *mut u8 {
        self.memory
            .as_ref()
            .map_or(std::ptr::without_provenance_mut(ALIGNMENT), |memory| memory.base.as_ptr())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            // If the thread is ending, the memory is freed instead.
            let _ = IDLE.try_with(|idle| idle.borrow_mut().push(memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_are_reused_grown_and_never_shared() {
        let first = Workspace::take(100).unwrap();
        let nested = Workspace::take(100).unwrap();
        assert_ne!(first.pointer(), nested.pointer());
        assert_eq!(first.pointer().addr() % ALIGNMENT, 0);
        drop(nested);
        let again = first.pointer();
        drop(first);
        assert_eq!(Workspace::take(64).unwrap().pointer(), again);
        // SAFETY: the workspace has this many bytes.
        unsafe { Workspace::take(5000).unwrap().pointer().add(4999).write(1) };
        assert_eq!(Workspace::take(0).unwrap().pointer().addr(), ALIGNMENT);
    }
}
