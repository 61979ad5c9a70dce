//! A GPU's memory: allocated, freed, copied.

use super::staging::LARGE;
use super::{Address, Gpu, RELEASE_THRESHOLD};
use crate::error::DeviceError;

impl Gpu {
    /// Lets freed memory stay with the process, so that allocating again costs microseconds. An error where
    /// the driver has no pools of memory: then it is asked each time.
    pub(super) fn keep_pool(&self) -> Result<(), DeviceError> {
        let driver = self.enter()?;
        let (mut pool, mut address, mut all) = (std::ptr::null_mut(), 0, u64::MAX);
        // SAFETY: each call writes to the places it is given; the address is freed once.
        unsafe {
            driver.pool_of(&raw mut pool, self.device)?;
            driver.pool_set(pool, RELEASE_THRESHOLD, (&raw mut all).cast())?;
            driver.pool_allocate(&raw mut address, 1, self.stream.0)?;
            driver.pool_free(address, self.stream.0)
        }
    }

    /// Zeroed memory.
    pub fn allocate(&self, bytes: usize) -> Result<Address, DeviceError> {
        let driver = self.enter()?;
        let mut address = 0;
        let room = bytes.max(1);
        // SAFETY: the address is written; the memory is filled in the order of the stream.
        unsafe {
            let done = if self.has_pool {
                driver.pool_allocate(&raw mut address, room, self.stream.0)
            } else {
                driver.allocate(&raw mut address, room)
            };
            done.map_err(|error| {
                if let DeviceError::OutOfMemory { free, .. } = error {
                    return DeviceError::OutOfMemory { bytes, free };
                }
                error
            })?;
            driver.fill(address, 0, room, self.stream.0)?;
        }
        Ok(address)
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// It came from `allocate`, and nothing that is launched later uses it.
    pub unsafe fn free(&self, address: Address) {
        let Ok(driver) = self.enter() else { return };
        // A failure here is one that every later call reports.
        // SAFETY: promised by the caller; the stream's order, or waiting, keeps earlier uses before this.
        let _ = unsafe {
            if self.has_pool {
                driver.pool_free(address, self.stream.0)
            } else {
                self.wait().and_then(|()| driver.free(address))
            }
        };
    }

    /// Copies from the host and waits.
    ///
    /// # Safety
    /// `bytes` are readable at `from` and writable at `to`.
    pub unsafe fn copy_in(&self, to: Address, from: *const u8, bytes: usize) -> Result<(), DeviceError> {
        if bytes == 0 {
            return Ok(());
        }
        if bytes >= LARGE {
            // SAFETY: promised by the caller.
            return unsafe { self.copy_in_large(to, from, bytes) };
        }
        // SAFETY: promised by the caller.
        unsafe { self.enter()?.copy_in(to, from.cast(), bytes, self.stream.0)? };
        self.wait()
    }

    /// Copies to the host and waits.
    ///
    /// # Safety
    /// `bytes` are readable at `from` and writable at `to`.
    pub unsafe fn copy_out(&self, to: *mut u8, from: Address, bytes: usize) -> Result<(), DeviceError> {
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: promised by the caller.
        unsafe { self.enter()?.copy_out(to.cast(), from, bytes, self.stream.0)? };
        self.wait()
    }
    /// Copies inside the device, after what was launched before; does not wait.
    ///
    /// # Safety
    /// `bytes` are readable at `from` and writable at `to`, until the next launch after they are freed.
    pub unsafe fn copy_within(&self, to: Address, from: Address, bytes: usize) -> Result<(), DeviceError> {
        // SAFETY: promised by the caller.
        unsafe { self.enter()?.copy_within(to, from, bytes, self.stream.0) }
    }
}

/// Memory on a device, freed when dropped.
pub(crate) struct Memory {
    pub gpu: &'static Gpu,
    pub address: Address,
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: nothing else frees it; later launches cannot name it.
        unsafe { self.gpu.free(self.address) };
    }
}
