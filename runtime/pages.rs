//! Large memory from the system itself, on pages of 2 MiB where it has them.
//!
//! On small pages, which Linux gives unless asked, the processor looks up addresses as often as it computes, and what
//! it fetches ahead ends every 4 KiB.

use std::ptr::NonNull;

/// Zeroed memory that begins at a multiple of 2 MiB.
#[derive(Debug)]
pub(crate) struct Pages {
    base: NonNull<u8>,
    #[cfg(all(target_os = "linux", not(miri)))]
    _map: memmap2::MmapMut,
}

// SAFETY: it owns its memory and hands out only a raw pointer.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// At least so many bytes; `None` where there is no such memory.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(crate) fn new(bytes: usize) -> Option<Pages> {
        const PAGE: usize = 2 << 20;
        // The last page is whole, too: else it would be of small ones.
        let whole = bytes.checked_next_multiple_of(PAGE)?;
        let mut map = memmap2::MmapMut::map_anon(whole.checked_add(PAGE)?).ok()?;
        // A hint: small pages do as well, but slower.
        let _ = map.advise(memmap2::Advice::HugePage);
        let first = NonNull::new(map.as_mut_ptr())?;
        // SAFETY: less than PAGE further, which the mapping has room for.
        let base = unsafe { first.add(first.addr().get().wrapping_neg() % PAGE) };
        Some(Pages { base, _map: map })
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    pub(crate) fn new(_: usize) -> Option<Pages> {
        None
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }
}
