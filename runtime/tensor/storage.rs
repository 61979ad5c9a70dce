//! The memory behind tensors, and the lock that makes sharing it sound.
//!
//! Clones and views of a tensor share one [`Storage`]. Whoever reads it holds the lock shared, whoever
//! writes it holds it alone: a guard for as long as it lives, a launch while it runs. Nobody waits for
//! the lock: if it is taken, the access is refused with [`TensorError::Busy`], so that no order of
//! accesses can deadlock. All pointers derive from `base`; references into the memory exist only under
//! the lock.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::device::gpu::{Gpu, Memory};
use crate::error::TensorError;
use crate::pages::Pages;
use crate::simd::dot::Kept;

/// Every allocation starts on a cache line, which is also the widest vector.
pub(crate) const ALIGNMENT: usize = 64;

/// Bytes from which on memory is on pages of its own.
const LARGE: usize = 4 << 20;

pub(crate) struct Storage {
    base: NonNull<u8>,
    kept: Kept,
    /// 0 free, `WRITER` exclusive, else the number of readers.
    lock: AtomicU32,
    owner: Owner,
}

enum Owner {
    /// Allocated with this layout from this address on, which is at most `ALIGNMENT` before `base`.
    /// Nothing is allocated for size 0.
    Heap(NonNull<u8>, Layout),
    /// Pages of their own; `base` is their first byte.
    Pages(#[expect(dead_code, reason = "held for its Drop")] Pages),
    /// Lent for reading, and kept alive.
    Lent(#[expect(dead_code, reason = "held for its Drop")] Arc<dyn Any + Send + Sync>),
    /// A GPU's, from `base` on, which the host must not follow.
    Device(Memory),
}

const WRITER: u32 = u32::MAX;

// SAFETY: the memory is plain bytes that any thread may free; all access goes through the lock, and
// element types are Send and Sync.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

impl Storage {
    /// Zeroed memory of its own. `None` if the address space cannot hold it.
    ///
    /// Asks for more instead of for alignment: the allocator then takes fresh pages, which are zero and
    /// cost nothing until they are touched, where for an aligned request it writes them.
    pub(crate) fn zeroed(bytes: usize) -> Option<Storage> {
        if bytes >= LARGE
            && let Some(pages) = Pages::new(bytes)
        {
            return Some(Storage {
                base: pages.base(),
                kept: Kept::new(bytes),
                lock: AtomicU32::new(0),
                owner: Owner::Pages(pages),
            });
        }
        let room = if bytes == 0 { 0 } else { bytes.checked_add(ALIGNMENT)? };
        let layout = Layout::from_size_align(room, 16).ok()?;
        let raw = if bytes == 0 {
            NonNull::new(std::ptr::without_provenance_mut(ALIGNMENT))?
        } else {
            // SAFETY: the layout is not of size 0.
            let raw = unsafe { alloc_zeroed(layout) };
            NonNull::new(raw).unwrap_or_else(|| handle_alloc_error(layout))
        };
        // SAFETY: at most ALIGNMENT - 1 further, which the allocation has room for; 0 if there is none.
        let base = unsafe { raw.add(raw.as_ptr().addr().wrapping_neg() % ALIGNMENT) };
        Some(Storage {
            base,
            kept: Kept::new(bytes),
            lock: AtomicU32::new(0),
            owner: Owner::Heap(raw, layout),
        })
    }

    /// Memory of someone else, for reading only.
    pub(crate) fn lent(owner: Arc<dyn Any + Send + Sync>, base: NonNull<u8>, bytes: usize) -> Storage {
        Storage { base, kept: Kept::new(bytes), lock: AtomicU32::new(0), owner: Owner::Lent(owner) }
    }

    /// Memory of a GPU.
    pub(crate) fn on_device(memory: Memory) -> Option<Storage> {
        let address = usize::try_from(memory.address).ok()?;
        let base = NonNull::new(std::ptr::without_provenance_mut(address))?;
        Some(Storage { base, kept: Kept::new(0), lock: AtomicU32::new(0), owner: Owner::Device(memory) })
    }

    /// The GPU that it is on, if any.
    pub(crate) fn gpu(&self) -> Option<&'static Gpu> {
        if let Owner::Device(memory) = &self.owner { Some(memory.gpu) } else { None }
    }

    /// Refuses the host's access to a GPU's memory.
    fn check_host(&self) -> Result<(), TensorError> {
        match self.gpu() {
            Some(gpu) => Err(TensorError::OnDevice { device: gpu.to_string() }),
            None => Ok(()),
        }
    }

    /// Where it starts. Only what holds a lock from `shared` or `exclusive` may follow it.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// What products keep of it. Only who holds the lock shared may add to it.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.owner, Owner::Lent(_))
    }

    /// Takes the lock shared; to be given back with `unlock_shared`.
    pub(crate) fn lock_shared(&self) -> Result<(), TensorError> {
        let more = |readers: u32| (readers < WRITER - 1).then(|| readers + 1);
        let taken = self.lock.fetch_update(Ordering::Acquire, Ordering::Relaxed, more);
        taken.map(drop).map_err(|_| TensorError::Busy)
    }

    pub(crate) fn unlock_shared(&self) {
        self.lock.fetch_sub(1, Ordering::Release);
    }

    /// Takes the lock alone; to be given back with `unlock_exclusive`.
    pub(crate) fn lock_exclusive(&self) -> Result<(), TensorError> {
        if self.is_read_only() {
            return Err(TensorError::ReadOnly);
        }
        let taken = self.lock.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed);
        taken.map_err(|_| TensorError::Busy)?;
        self.kept.forget();
        Ok(())
    }

    pub(crate) fn unlock_exclusive(&self) {
        self.lock.store(0, Ordering::Release);
    }

    /// The lock, shared, until dropped; for access by the host.
    pub(crate) fn shared(&self) -> Result<Shared<'_>, TensorError> {
        self.check_host()?;
        self.hold_shared()
    }

    /// The lock, alone, until dropped; for access by the host.
    pub(crate) fn exclusive(&self) -> Result<Exclusive<'_>, TensorError> {
        self.check_host()?;
        self.hold_exclusive()
    }

    /// The lock, shared, until dropped; for copies from a GPU.
    pub(crate) fn hold_shared(&self) -> Result<Shared<'_>, TensorError> {
        self.lock_shared()?;
        Ok(Shared(self))
    }

    /// The lock, alone, until dropped; for copies to a GPU.
    pub(crate) fn hold_exclusive(&self) -> Result<Exclusive<'_>, TensorError> {
        self.lock_exclusive()?;
        Ok(Exclusive(self))
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Owner::Heap(raw, layout) = &self.owner
            && layout.size() != 0
        {
            // SAFETY: `raw` was allocated with this layout, and nobody else has the storage.
            unsafe { dealloc(raw.as_ptr(), *layout) };
        }
    }
}

/// The right to read a storage.
pub(crate) struct Shared<'a>(&'a Storage);

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        self.0.unlock_shared();
    }
}

/// The right to read and write a storage.
pub(crate) struct Exclusive<'a>(&'a Storage);

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.0.unlock_exclusive();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_every_size_is_zero_and_aligned() {
        for bytes in [0, 1, 63, 4096, LARGE - 1, LARGE, LARGE + 1, LARGE + 12_345] {
            let storage = Storage::zeroed(bytes).expect("there is memory");
            assert!(storage.base().addr().get().is_multiple_of(ALIGNMENT), "{bytes}");
            // SAFETY: so many bytes are the storage's, and nobody else has it.
            let all = unsafe { std::slice::from_raw_parts_mut(storage.base().as_ptr(), bytes) };
            assert!(all.iter().all(|byte| *byte == 0), "{bytes}");
            all.fill(7);
        }
        assert!(Storage::zeroed(usize::MAX - 100).is_none());
    }

    #[test]
    fn a_writer_excludes_everyone_and_readers_only_writers() -> Result<(), TensorError> {
        let storage = Storage::zeroed(8).ok_or(TensorError::Busy)?;
        let first = storage.shared()?;
        let second = storage.shared()?;
        assert!(matches!(storage.exclusive(), Err(TensorError::Busy)));
        drop((first, second));
        let writer = storage.exclusive()?;
        assert!(matches!(storage.exclusive(), Err(TensorError::Busy)));
        assert!(matches!(storage.shared(), Err(TensorError::Busy)));
        drop(writer);
        storage.exclusive().map(drop)
    }

    #[test]
    fn allocations_start_on_a_cache_line() {
        for bytes in [0, 1, 63, 64, 1000] {
            let storage = Storage::zeroed(bytes).map(|storage| storage.base().addr().get() % ALIGNMENT);
            assert_eq!(storage, Some(0));
        }
        assert!(Storage::zeroed(usize::MAX).is_none());
    }
}
