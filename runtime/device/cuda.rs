//! What only NVIDIA's driver has: contexts, shared memory that a function must ask for.

use std::ffi::{CStr, c_char, c_int};

use super::gpu::{Driver, Handle, Library, Opened};
use crate::element::Kind;
use crate::error::DeviceError;
use crate::gpu::{Architecture, TensorMap};

type Text = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;

type Encode = unsafe extern "C" fn(
    *mut EncodedMap,
    c_int,
    u32,
    u64,
    *const u64,
    *const u64,
    *const u32,
    *const u32,
    c_int,
    c_int,
    c_int,
    c_int,
) -> c_int;

/// `CUtensorMap`.
#[repr(C, align(64))]
struct EncodedMap([u8; 128]);

/// Functions without a counterpart of the same form in HIP.
pub(super) struct Calls {
    attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int,
    context_retain: unsafe extern "C" fn(*mut Handle, c_int) -> c_int,
    context_enter: unsafe extern "C" fn(Handle) -> c_int,
    function_set: unsafe extern "C" fn(Handle, c_int, c_int) -> c_int,
    /// Since CUDA 12.0.
    encode: Option<Encode>,
    error_name: Text,
    error_text: Text,
}

/// Attributes of a device, by the driver's numbers.
const SHARED_MEMORY_WITH_OPT_IN: c_int = 97;
const MULTIPROCESSORS: c_int = 16;
const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;
/// Element types of a tensor map.
const UINT8: c_int = 0;
const FLOAT16: c_int = 6;
const BFLOAT16: c_int = 9;
/// How much the second-level cache fetches at once.
const PROMOTE_TO_256_BYTES: c_int = 3;
/// Of a function: most dynamic shared memory.
const DYNAMIC_SHARED_MEMORY: c_int = 8;

impl Calls {
    pub fn load(library: &Library) -> Result<Calls, DeviceError> {
        // SAFETY: the types are those of the driver's documentation.
        unsafe {
            Ok(Calls {
                attribute: library.symbol("cuDeviceGetAttribute")?,
                context_retain: library.symbol("cuDevicePrimaryCtxRetain")?,
                context_enter: library.symbol("cuCtxSetCurrent")?,
                function_set: library.symbol("cuFuncSetAttribute")?,
                encode: library.symbol("cuTensorMapEncodeTiled").ok(),
                error_name: library.symbol("cuGetErrorName")?,
                error_text: library.symbol("cuGetErrorString")?,
            })
        }
    }

    /// Takes the device's context, and asks what it is.
    pub fn open(&self, driver: &Driver, device: c_int) -> Result<Opened, DeviceError> {
        let mut context = std::ptr::null_mut();
        // SAFETY: the device is one that the driver counts.
        let code = unsafe { (self.context_retain)(&raw mut context, device) };
        driver.check("cuDevicePrimaryCtxRetain", code)?;
        let attribute = |which| {
            let mut value = 0;
            // SAFETY: one place to write to.
            let code = unsafe { (self.attribute)(&raw mut value, which, device) };
            driver.check("cuDeviceGetAttribute", code)?;
            Ok::<_, DeviceError>(u32::try_from(value).unwrap_or(0))
        };
        let capability = 10 * attribute(CAPABILITY_MAJOR)? + attribute(CAPABILITY_MINOR)?;
        Ok(Opened {
            context,
            architecture: Architecture::cuda(capability),
            most_shared: attribute(SHARED_MEMORY_WITH_OPT_IN)?,
            multiprocessors: attribute(MULTIPROCESSORS)?,
        })
    }

    /// Makes the context current for this thread.
    pub fn enter(&self, driver: &Driver, context: Handle) -> Result<(), DeviceError> {
        // SAFETY: the context lives as long as the process.
        driver.check("cuCtxSetCurrent", unsafe { (self.context_enter)(context) })
    }

    /// Lets a function have more shared memory than the default.
    pub fn allow_shared(&self, driver: &Driver, function: Handle, bytes: u32) -> Result<(), DeviceError> {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        // SAFETY: the function's module is never unloaded.
        let code = unsafe { (self.function_set)(function, DYNAMIC_SHARED_MEMORY, bytes) };
        driver.check("cuFuncSetAttribute", code)
    }

    /// Whether the driver knows tensor maps.
    pub fn has_tensor_maps(&self) -> bool {
        self.encode.is_some()
    }

    /// A tensor map as the copy engine reads it: 128 bytes.
    pub fn encode(&self, driver: &Driver, map: &TensorMap, to: &mut [u8]) -> Result<(), DeviceError> {
        let symbol = "cuTensorMapEncodeTiled";
        let (platform, library) = (driver.platform, driver.platform.drivers()[0]);
        let encode = self.encode.ok_or(DeviceError::OldDriver { platform, library, symbol })?;
        let mut encoded = EncodedMap([0; 128]);
        // What is 0 beyond the ends hangs on the size alone.
        let kind = if map.kind.size() == 1 {
            UINT8
        } else if map.kind == Kind::Bf16 {
            BFLOAT16
        } else {
            FLOAT16
        };
        let swizzle = match map.line {
            128 => 3,
            64 => 2,
            _ => 1,
        };
        let rank = u32::try_from(map.lengths.len()).unwrap_or(0);
        let (lengths, strides, block) = (map.lengths.as_ptr(), map.strides.as_ptr(), map.block.as_ptr());
        let ones = [1u32; 5];
        // SAFETY: the lists have `rank` entries, of strides one less; the driver writes 128 aligned bytes.
        let code = unsafe {
            encode(
                &raw mut encoded,
                kind,
                rank,
                map.address,
                lengths,
                strides,
                block,
                ones.as_ptr(),
                0,
                swizzle,
                PROMOTE_TO_256_BYTES,
                0,
            )
        };
        driver.check(symbol, code)?;
        to.copy_from_slice(&encoded.0);
        Ok(())
    }

    /// A code's name and meaning.
    pub fn describe(&self, code: c_int) -> (String, String) {
        let text = |of: Text| {
            let mut text = std::ptr::null();
            // SAFETY: the driver writes a pointer to a string of its own, or null.
            unsafe {
                of(code, &raw mut text);
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
