//! Large copies to a GPU: through two pinned buffers, one filled while the other is on its way.
//!
//! A driver copies pageable memory through a small buffer of its own, and waits for each part; from pinned
//! memory its engine reads while we read on, from a mapped file of weights say.

use std::ffi::c_void;
use std::ptr::null_mut;

use super::driver::Driver;
use super::{Address, Gpu, Raw};
use crate::error::DeviceError;

/// Copies below this size go straight.
pub(super) const LARGE: usize = 1 << 20;
/// Of a buffer.
const BYTES: usize = 8 << 20;
/// Events that measure no time are cheaper: the same flag for both drivers.
const NO_TIMING: u32 = 2;

/// The buffers, made at the first large copy; where there is no pinned memory, that is not tried again.
#[derive(Default)]
pub(super) enum State {
    #[default]
    New,
    There(Staging),
    Refused,
}

/// The two buffers; they live as long as the process.
pub(super) struct Staging([Buffer; 2]);

struct Buffer {
    memory: Raw,
    /// Passed when the copy from here is done.
    copied: Raw,
}

impl Staging {
    fn new(driver: &Driver) -> Result<Staging, DeviceError> {
        let buffer = || {
            let (mut memory, mut copied) = (null_mut(), null_mut());
            // SAFETY: each call writes one pointer.
            unsafe {
                driver.host_allocate(&raw mut memory, BYTES, 0)?;
                driver.event_create(&raw mut copied, NO_TIMING)?;
            }
            Ok::<_, DeviceError>(Buffer { memory: Raw(memory), copied: Raw(copied) })
        };
        Ok(Staging([buffer()?, buffer()?]))
    }
}

impl Gpu {
    /// Copies from the host and waits, through pinned memory where the driver has any.
    ///
    /// # Safety
    /// `bytes` are readable at `from` and writable at `to`.
    pub(super) unsafe fn copy_in_large(
        &self,
        to: Address,
        from: *const u8,
        bytes: usize,
    ) -> Result<(), DeviceError> {
        let driver = self.enter()?;
        let mut staging = self.staging.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let State::New = *staging {
            *staging = Staging::new(driver).map_or(State::Refused, State::There);
        }
        let State::There(Staging(buffers)) = &*staging else {
            // SAFETY: promised by the caller.
            unsafe { driver.copy_in(to, from.cast(), bytes, self.stream.0)? };
            return self.wait();
        };
        let mut result = Ok(());
        for (turn, first) in (0..bytes).step_by(BYTES).enumerate() {
            let buffer = &buffers[turn % 2];
            // SAFETY: the buffer was last read by the copy before the event; the part lies within both sides.
            result = unsafe { self.copy_part(driver, buffer, turn >= 2, to, from, first, bytes) };
            if result.is_err() {
                break;
            }
        }
        // The buffers are free again when all is done, whatever happened.
        result.and(self.wait())
    }

    /// # Safety
    /// As for `copy_in_large`.
    #[allow(clippy::too_many_arguments, reason = "a part of one function")]
    unsafe fn copy_part(
        &self,
        driver: &Driver,
        buffer: &Buffer,
        used: bool,
        to: Address,
        from: *const u8,
        first: usize,
        bytes: usize,
    ) -> Result<(), DeviceError> {
        let length = BYTES.min(bytes - first);
        // SAFETY: promised by the caller; the event says when the buffer may be written.
        unsafe {
            if used {
                driver.event_wait(buffer.copied.0)?;
            }
            std::ptr::copy_nonoverlapping(from.add(first), buffer.memory.0.cast::<u8>(), length);
            let source: *const c_void = buffer.memory.0;
            driver.copy_in(to + first as u64, source, length, self.stream.0)?;
            driver.event_record(buffer.copied.0, self.stream.0)
        }
    }
}
