//! What only AMD's runtime has: devices known by their number, and architectures by their name.

use std::ffi::{CStr, c_char, c_int};

use super::gpu::{Driver, Library, Opened};
use crate::error::DeviceError;
use crate::gpu::Architecture;

type Properties = unsafe extern "C" fn(*mut Bytes, c_int) -> c_int;
type Text = unsafe extern "C" fn(c_int) -> *const c_char;

/// Functions without a counterpart of the same form in CUDA.
pub(super) struct Calls {
    set_device: unsafe extern "C" fn(c_int) -> c_int,
    properties: Properties,
    layout: &'static Layout,
    error_name: Text,
    error_text: Text,
}

/// Room for `hipDeviceProp_t`, of which the largest so far has 1472 bytes.
#[repr(C, align(8))]
struct Bytes([u8; 4096]);

/// Where in `hipDeviceProp_t` our fields are.
struct Layout {
    symbol: &'static str,
    shared_memory: usize,
    architecture: usize,
}

/// Its layout changed with ROCm 6, which gave the function that fills it a name of its own.
const NEW: Layout = Layout { symbol: "hipGetDevicePropertiesR0600", shared_memory: 296, architecture: 1160 };
/// Of ROCm 5.
const OLD: Layout = Layout { symbol: "hipGetDeviceProperties", shared_memory: 264, architecture: 396 };

impl Calls {
    pub fn load(library: &Library) -> Result<Calls, DeviceError> {
        // SAFETY: the types are those of HIP's documentation.
        unsafe {
            let new = library.symbol(NEW.symbol);
            let layout = if new.is_ok() { &NEW } else { &OLD };
            Ok(Calls {
                set_device: library.symbol("hipSetDevice")?,
                properties: new.or_else(|_| library.symbol(OLD.symbol))?,
                layout,
                error_name: library.symbol("hipGetErrorName")?,
                error_text: library.symbol("hipGetErrorString")?,
            })
        }
    }

    /// Asks what the device is. It has no context to take.
    pub fn open(&self, driver: &Driver, device: c_int) -> Result<Opened, DeviceError> {
        self.enter(driver, device)?;
        let mut bytes = Bytes([0; 4096]);
        // SAFETY: there is more room than any version fills.
        let code = unsafe { (self.properties)(&raw mut bytes, device) };
        driver.check(self.layout.symbol, code)?;
        let architecture = architecture(&bytes.0[self.layout.architecture..])?;
        let at = self.layout.shared_memory;
        let shared = bytes.0[at..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        // A figure that no device has is a layout that we do not know.
        let known = u32::try_from(shared).ok().filter(|shared| (16 << 10..=1 << 20).contains(shared));
        let most_shared = known.unwrap_or_else(|| architecture.most_shared());
        // No text for AMD asks how many there are.
        Ok(Opened { context: std::ptr::null_mut(), architecture, most_shared, multiprocessors: 1 })
    }

    /// Makes the device current for this thread.
    pub fn enter(&self, driver: &Driver, device: c_int) -> Result<(), DeviceError> {
        // SAFETY: no preconditions.
        driver.check("hipSetDevice", unsafe { (self.set_device)(device) })
    }

    /// A code's name and meaning.
    pub fn describe(&self, code: c_int) -> (String, String) {
        let text = |of: Text| {
            // SAFETY: a string of the runtime's own, or null.
            unsafe {
                let text = of(code);
                if text.is_null() {
                    String::new()
                } else {
                    CStr::from_ptr(text).to_string_lossy().into_owned()
                }
            }
        };
        (text(self.error_name), text(self.error_text))
    }
}

/// `gfx942:sramecc+:xnack-` and a zero: the architecture, and features that code for all of them ignores.
fn architecture(bytes: &[u8]) -> Result<Architecture, DeviceError> {
    let end = bytes.iter().position(|byte| [0, b':'].contains(byte)).unwrap_or(bytes.len()).min(64);
    String::from_utf8_lossy(&bytes[..end]).parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_read_without_their_features() {
        let name = |bytes: &[u8]| architecture(bytes).map(|architecture| architecture.to_string());
        assert_eq!(name(b"gfx942:sramecc+:xnack-\0rest"), Ok("gfx942".into()));
        assert_eq!(name(b"gfx90a\0"), Ok("gfx90a".into()));
        assert!(name(b"AMD Instinct\0").is_err() && name(b"").is_err());
    }

    #[test]
    fn fields_lie_inside_the_room_for_them() {
        for layout in [&NEW, &OLD] {
            assert!(layout.architecture + 256 <= size_of::<Bytes>() && layout.shared_memory % 8 == 0);
        }
    }
}
