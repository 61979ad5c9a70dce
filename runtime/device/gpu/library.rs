//! A vendor's library, found at run time and kept until the process ends.

use std::error::Error;

use crate::device::Platform;
use crate::error::DeviceError;

/// An open library.
pub(in crate::device) struct Library {
    library: libloading::Library,
    name: &'static str,
    platform: Platform,
}

impl Library {
    /// The first of `names` that loads, or why each does not.
    pub fn open(platform: Platform, names: &'static [&'static str]) -> Result<Library, String> {
        let mut reasons = Vec::new();
        for name in names {
            // SAFETY: the vendor's library; its initialisers have no preconditions.
            match unsafe { libloading::Library::new(*name) } {
                Ok(library) => return Ok(Library { library, name, platform }),
                Err(error) => {
                    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                    let reason = reason.strip_prefix(&format!("{name}: ")).unwrap_or(&reason).to_string();
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
        }
        Err(reasons.join("; "))
    }

    /// A function of the library.
    ///
    /// # Safety
    /// `F` is its type by the vendor's documentation.
    pub unsafe fn symbol<F: Copy>(&self, symbol: &'static str) -> Result<F, DeviceError> {
        // SAFETY: promised by the caller.
        let found = unsafe { self.library.get::<F>(symbol.as_bytes()) };
        let lacks = DeviceError::OldDriver { platform: self.platform, library: self.name, symbol };
        found.map(|function| *function).map_err(|_| lacks)
    }

    /// Never unloads it: its functions are used until the process ends.
    pub fn keep(self) {
        std::mem::forget(self.library);
    }
}
