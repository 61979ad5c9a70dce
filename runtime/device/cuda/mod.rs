//! NVIDIA GPUs through the driver: context, memory, kernels.
//!
//! One context and one stream a device, both for as long as the process runs. Everything goes through the
//! stream in order; what the host reads is waited for.

mod cache;
mod compiler;
mod driver;

use std::collections::HashMap;
use std::ffi::{CString, c_int, c_void};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use compiler::Compiler;
use driver::{Address, Driver, Handle};

use crate::error::{DeviceError, Error};
use crate::gpu::Architecture;
use crate::launch::Meta;

/// A device.
pub(crate) struct Cuda {
    driver: &'static Driver,
    ordinal: usize,
    context: Raw,
    stream: Raw,
    name: String,
    /// 90 for compute capability 9.0.
    capability: i32,
    most_shared: u32,
    fault: Address,
    functions: Mutex<HashMap<FunctionKey, Arc<Function>>>,
    /// Kernels that were launched: a fault names one by its position.
    launched: Mutex<Vec<&'static Meta>>,
}

/// What tells one compiled kernel from another: the kernel, and the constants of its text.
pub(crate) type FunctionKey = (usize, Vec<i64>);

/// A compiled kernel.
pub(crate) struct Function {
    handle: Raw,
    launch: u32,
}

/// A handle of the driver, which any thread may use.
struct Raw(Handle);
// SAFETY: the driver's functions may be called with a handle from any thread.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

/// `Fault` of the prelude.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Fault {
    claimed: u32,
    launch: u32,
    tensor: i32,
    dimension: i32,
    index: i64,
    length: i32,
    pad: i32,
}

/// Attributes of a device, by the driver's numbers.
mod attribute {
    pub const SHARED_MEMORY_WITH_OPT_IN: i32 = 97;
    pub const CAPABILITY_MAJOR: i32 = 75;
    pub const CAPABILITY_MINOR: i32 = 76;
}
/// Of a function: most dynamic shared memory.
const DYNAMIC_SHARED_MEMORY: c_int = 8;
/// Of a memory pool: how much it keeps when nothing uses it.
const RELEASE_THRESHOLD: c_int = 4;
/// A stream that does not wait for the default one.
const NON_BLOCKING: u32 = 1;

impl Cuda {
    /// The device of a number; made once.
    pub fn get(ordinal: usize) -> Result<&'static Cuda, DeviceError> {
        static DEVICES: OnceLock<Mutex<HashMap<usize, &'static Cuda>>> = OnceLock::new();
        let driver = Driver::get()?;
        let mut devices = DEVICES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = devices.get(&ordinal) {
            return Ok(device);
        }
        let device: &'static Cuda = Box::leak(Box::new(Cuda::open(driver, ordinal)?));
        devices.insert(ordinal, device);
        Ok(device)
    }

    fn open(driver: &'static Driver, ordinal: usize) -> Result<Cuda, DeviceError> {
        let (mut count, mut device) = (0, 0);
        let (mut context, mut stream, mut pool) =
            (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        let mut name = [0; 128];
        // SAFETY: each call writes to the places it is given; the device is one that the driver counts.
        unsafe {
            driver.check("cuDeviceGetCount", (driver.device_count)(&raw mut count))?;
            let number = c_int::try_from(ordinal).unwrap_or(c_int::MAX);
            if number >= count {
                return Err(DeviceError::NoDevice { ordinal, count: usize::try_from(count).unwrap_or(0) });
            }
            driver.check("cuDeviceGet", (driver.device_get)(&raw mut device, number))?;
            driver.check("cuDeviceGetName", (driver.device_name)(name.as_mut_ptr(), 128, device))?;
            driver.check("cuDevicePrimaryCtxRetain", (driver.context_retain)(&raw mut context, device))?;
            driver.check("cuCtxSetCurrent", (driver.context_enter)(context))?;
            driver.check("cuStreamCreate", (driver.stream_create)(&raw mut stream, NON_BLOCKING))?;
            // Freed memory stays with the process: allocating again costs microseconds. A driver without
            // pools works without.
            if (driver.pool_of)(&raw mut pool, device) == 0 {
                let mut all = u64::MAX;
                (driver.pool_set)(pool, RELEASE_THRESHOLD, (&raw mut all).cast());
            }
        }
        let attribute = |which| {
            let mut value = 0;
            // SAFETY: one place to write to.
            let code = unsafe { (driver.device_attribute)(&raw mut value, which, device) };
            driver.check("cuDeviceGetAttribute", code).map(|()| value)
        };
        let capability =
            10 * attribute(attribute::CAPABILITY_MAJOR)? + attribute(attribute::CAPABILITY_MINOR)?;
        let most_shared = u32::try_from(attribute(attribute::SHARED_MEMORY_WITH_OPT_IN)?).unwrap_or(48 << 10);
        let mut cuda = Cuda {
            driver,
            ordinal,
            context: Raw(context),
            stream: Raw(stream),
            name: name.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect(),
            capability,
            most_shared,
            fault: 0,
            functions: Mutex::default(),
            launched: Mutex::default(),
        };
        cuda.fault = cuda.allocate(size_of::<Fault>())?;
        Ok(cuda)
    }

    /// Makes the context current for this thread.
    fn enter(&self) -> Result<&'static Driver, DeviceError> {
        // SAFETY: the context lives as long as the process.
        self.driver.check("cuCtxSetCurrent", unsafe { (self.driver.context_enter)(self.context.0) })?;
        Ok(self.driver)
    }

    /// From 0.
    pub fn ordinal(&self) -> usize {
        self.ordinal
    }

    /// Shared memory that a program may have.
    pub fn most_shared(&self) -> u32 {
        self.most_shared
    }

    /// What kernels are compiled for.
    pub fn architecture(&self) -> Architecture {
        Architecture::cuda(u32::try_from(self.capability).unwrap_or(0))
    }

    /// Zeroed memory.
    pub fn allocate(&self, bytes: usize) -> Result<Address, DeviceError> {
        let driver = self.enter()?;
        let mut address = 0;
        // SAFETY: the address is written; the memory is filled in the order of the stream.
        unsafe {
            let code = (driver.allocate)(&raw mut address, bytes.max(1), self.stream.0);
            driver.check("cuMemAllocAsync", code).map_err(|error| {
                if let DeviceError::OutOfMemory { free, .. } = error {
                    return DeviceError::OutOfMemory { bytes, free };
                }
                error
            })?;
            driver.check("cuMemsetD8Async", (driver.fill)(address, 0, bytes.max(1), self.stream.0))?;
        }
        Ok(address)
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// It came from `allocate`, and nothing that is launched later uses it.
    pub unsafe fn free(&self, address: Address) {
        if let Ok(driver) = self.enter() {
            // A failure here is one that every later call reports.
            // SAFETY: promised by the caller; the stream's order keeps earlier uses before this.
            unsafe { (driver.free)(address, self.stream.0) };
        }
    }

    /// Copies from the host and waits.
    ///
    /// # Safety
    /// `bytes` are readable at `from` and writable at `to`.
    pub unsafe fn copy_in(&self, to: Address, from: *const u8, bytes: usize) -> Result<(), DeviceError> {
        if bytes == 0 {
            return Ok(());
        }
        let driver = self.enter()?;
        // SAFETY: promised by the caller.
        let code = unsafe { (driver.copy_in)(to, from.cast(), bytes, self.stream.0) };
        driver.check("cuMemcpyHtoDAsync", code)?;
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
        let driver = self.enter()?;
        // SAFETY: promised by the caller.
        let code = unsafe { (driver.copy_out)(to.cast(), from, bytes, self.stream.0) };
        driver.check("cuMemcpyDtoHAsync", code)?;
        self.wait()
    }

    fn wait(&self) -> Result<(), DeviceError> {
        // SAFETY: the stream lives as long as the process.
        self.driver.check("cuStreamSynchronize", unsafe { (self.driver.stream_wait)(self.stream.0) })
    }

    /// Waits for all launches, and gives the first index outside a tensor that one met since the last time.
    pub fn synchronize(&self) -> Result<(), Error> {
        self.enter()?;
        self.wait()?;
        let mut fault = Fault::default();
        // SAFETY: the record has this size on both sides.
        unsafe { self.copy_out((&raw mut fault).cast(), self.fault, size_of::<Fault>())? };
        if fault.claimed == 0 {
            return Ok(());
        }
        let none = Fault::default();
        // SAFETY: as above.
        unsafe { self.copy_in(self.fault, (&raw const none).cast(), size_of::<Fault>())? };
        let launched = self.launched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(meta) = launched.get(fault.launch as usize) else { return Ok(()) };
        Err(Error::IndexOutOfBounds {
            kernel: meta.kernel,
            tensor: usize::try_from(fault.tensor)
                .ok()
                .and_then(|at| meta.tensors.get(at))
                .map_or("", |t| t.name),
            dimension: usize::try_from(fault.dimension).unwrap_or(0),
            index: fault.index,
            length: usize::try_from(fault.length).unwrap_or(0),
        })
    }

    /// The compiled kernel of a key; `text` makes its text if it is not compiled yet. Found in memory, on
    /// disk, or compiled.
    pub fn function(
        &self,
        key: FunctionKey,
        meta: &'static Meta,
        kernel: &str,
        shared: u32,
        text: impl FnOnce() -> String,
    ) -> Result<Arc<Function>, DeviceError> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(&key) {
            return Ok(Arc::clone(function));
        }
        let cubin = self.cubin(kernel, &text())?;
        let driver = self.enter()?;
        let (mut module, mut handle) = (std::ptr::null_mut(), std::ptr::null_mut());
        let name = CString::new(kernel).unwrap_or_default();
        // SAFETY: a whole cubin; the module is never unloaded.
        unsafe {
            driver.check("cuModuleLoadData", (driver.module_load)(&raw mut module, cubin.as_ptr().cast()))?;
            let code = (driver.module_function)(&raw mut handle, module, name.as_ptr());
            driver.check("cuModuleGetFunction", code)?;
            let bytes = c_int::try_from(shared).unwrap_or(c_int::MAX);
            driver
                .check("cuFuncSetAttribute", (driver.function_set)(handle, DYNAMIC_SHARED_MEMORY, bytes))?;
        }
        let mut launched = self.launched.lock().unwrap_or_else(PoisonError::into_inner);
        let at = launched.iter().position(|known| std::ptr::eq(*known, meta)).unwrap_or_else(|| {
            launched.push(meta);
            launched.len() - 1
        });
        let function =
            Arc::new(Function { handle: Raw(handle), launch: u32::try_from(at).unwrap_or(u32::MAX) });
        functions.insert(key, Arc::clone(&function));
        Ok(function)
    }

    fn cubin(&self, kernel: &str, text: &str) -> Result<Vec<u8>, DeviceError> {
        let architecture = self.architecture().to_string();
        let compiler = Compiler::get()?;
        let version = format!("{:?} {}", compiler.version(), env!("CARGO_PKG_VERSION"));
        let parts = [text, &architecture, &version];
        if let Some(cubin) = cache::get(&parts) {
            return Ok(cubin);
        }
        let cubin = compiler.compile(kernel, text, &architecture)?;
        cache::put(&parts, &cubin);
        Ok(cubin)
    }

    /// Launches `programs` blocks of `threads`. The first 12 bytes of `arguments` are set here.
    ///
    /// # Safety
    /// `arguments` is the kernel's argument block; its addresses are this device's, and live until the next
    /// launch after they are freed.
    pub unsafe fn launch(
        &self,
        function: &Function,
        programs: u32,
        threads: u32,
        shared: u32,
        arguments: &mut [u8],
    ) -> Result<(), DeviceError> {
        if programs == 0 {
            return Ok(());
        }
        let driver = self.enter()?;
        arguments[..8].copy_from_slice(&self.fault.to_le_bytes());
        arguments[8..12].copy_from_slice(&function.launch.to_le_bytes());
        let mut length = arguments.len();
        // CU_LAUNCH_PARAM_BUFFER_POINTER, _SIZE and _END.
        let mut extra: [*mut c_void; 5] = [
            std::ptr::without_provenance_mut(1),
            arguments.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(2),
            (&raw mut length).cast(),
            std::ptr::null_mut(),
        ];
        // SAFETY: promised by the caller; the driver copies the block before it returns.
        let code = unsafe {
            (driver.launch)(
                function.handle.0,
                programs,
                1,
                1,
                threads,
                1,
                1,
                shared,
                self.stream.0,
                std::ptr::null_mut(),
                extra.as_mut_ptr(),
            )
        };
        driver.check("cuLaunchKernel", code)
    }
}

impl fmt::Display for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{} ({}, {})", self.ordinal, self.name, self.architecture())
    }
}

/// Memory on a device, freed when dropped.
pub(crate) struct Memory {
    pub cuda: &'static Cuda,
    pub address: Address,
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: nothing else frees it; later launches cannot name it.
        unsafe { self.cuda.free(self.address) };
    }
}
