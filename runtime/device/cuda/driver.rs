//! The functions of the CUDA driver that we call, found in the library at run time.
//!
//! A table of our own instead of a binding crate: two dozen functions, and a symbol that an old driver lacks
//! is an error here instead of a panic.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use crate::error::DeviceError;

/// A handle of the driver.
pub(super) type Handle = *mut c_void;
/// An address in device memory.
pub(super) type Address = u64;

/// The library's name.
const LIBRARY: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

macro_rules! table {
    ($($name:ident = $symbol:literal: fn($($argument:ty),*);)*) => {
        /// The driver's functions.
        pub(super) struct Driver {
            $(pub $name: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        impl Driver {
            fn load() -> Result<Driver, DeviceError> {
                // SAFETY: the vendor's library; its initialisers have no preconditions.
                let library = unsafe { libloading::Library::new(LIBRARY) };
                let library = library.map_err(|error| DeviceError::NoDriver {
                    library: LIBRARY,
                    reason: std::error::Error::source(&error)
                        .map_or_else(|| error.to_string(), |source| source.to_string()),
                })?;
                let driver = Driver {
                    $($name: {
                        // SAFETY: the types are those of the driver's documentation.
                        let symbol = unsafe { library.get(concat!($symbol, "\0").as_bytes()) };
                        *symbol.map_err(|_| DeviceError::OldDriver { library: LIBRARY, symbol: $symbol })?
                    },)*
                };
                // The functions are used until the process ends.
                std::mem::forget(library);
                Ok(driver)
            }
        }
    };
}

table! {
    init = "cuInit": fn(c_uint);
    device_get = "cuDeviceGet": fn(*mut c_int, c_int);
    device_count = "cuDeviceGetCount": fn(*mut c_int);
    device_name = "cuDeviceGetName": fn(*mut c_char, c_int, c_int);
    device_attribute = "cuDeviceGetAttribute": fn(*mut c_int, c_int, c_int);
    context_retain = "cuDevicePrimaryCtxRetain": fn(*mut Handle, c_int);
    context_enter = "cuCtxSetCurrent": fn(Handle);
    stream_create = "cuStreamCreate": fn(*mut Handle, c_uint);
    stream_wait = "cuStreamSynchronize": fn(Handle);
    memory_info = "cuMemGetInfo_v2": fn(*mut usize, *mut usize);
    pool_of = "cuDeviceGetDefaultMemPool": fn(*mut Handle, c_int);
    pool_set = "cuMemPoolSetAttribute": fn(Handle, c_int, *mut c_void);
    allocate = "cuMemAllocAsync": fn(*mut Address, usize, Handle);
    free = "cuMemFreeAsync": fn(Address, Handle);
    fill = "cuMemsetD8Async": fn(Address, u8, usize, Handle);
    copy_in = "cuMemcpyHtoDAsync_v2": fn(Address, *const c_void, usize, Handle);
    copy_out = "cuMemcpyDtoHAsync_v2": fn(*mut c_void, Address, usize, Handle);
    module_load = "cuModuleLoadData": fn(*mut Handle, *const c_void);
    module_function = "cuModuleGetFunction": fn(*mut Handle, Handle, *const c_char);
    function_set = "cuFuncSetAttribute": fn(Handle, c_int, c_int);
    launch = "cuLaunchKernel": fn(
        Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle, *mut Handle, *mut Handle
    );
    error_name = "cuGetErrorName": fn(c_int, *mut *const c_char);
    error_text = "cuGetErrorString": fn(c_int, *mut *const c_char);
}

/// `CUDA_ERROR_OUT_OF_MEMORY`.
const OUT_OF_MEMORY: c_int = 2;

impl Driver {
    /// The driver of this process, initialised.
    pub fn get() -> Result<&'static Driver, DeviceError> {
        static DRIVER: OnceLock<Result<Driver, DeviceError>> = OnceLock::new();
        let driver = DRIVER.get_or_init(|| {
            let driver = Driver::load()?;
            // SAFETY: flags must be 0.
            driver.check("cuInit", unsafe { (driver.init)(0) })?;
            Ok(driver)
        });
        driver.as_ref().map_err(Clone::clone)
    }

    /// The result of a call as an error that names it.
    pub fn check(&self, call: &'static str, code: c_int) -> Result<(), DeviceError> {
        if code == 0 {
            return Ok(());
        }
        if code == OUT_OF_MEMORY {
            return Err(DeviceError::OutOfMemory { bytes: 0, free: self.free_memory() });
        }
        let text = |of: unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int| {
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
        Err(DeviceError::Driver { call, code, name: text(self.error_name), text: text(self.error_text) })
    }

    /// Bytes that are free on the current device.
    pub fn free_memory(&self) -> usize {
        let (mut free, mut total) = (0, 0);
        // SAFETY: two places to write to.
        unsafe { (self.memory_info)(&raw mut free, &raw mut total) };
        free
    }
}
