//! GPUs: contexts, memory, kernels. CUDA and ROCm are alike but for names, so this serves both.
//!
//! One context and one stream a device, both for as long as the process runs. Everything goes through the
//! stream in order; what the host reads is waited for.

mod cache;
mod clang;
mod compiler;
mod driver;
mod functions;
mod graph;
mod library;
mod memory;
mod staging;

use std::collections::HashMap;
use std::ffi::c_int;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub(crate) use compiler::compile_for;
use driver::Own;
pub(super) use driver::{Address, Driver, Handle};
use functions::Fault;
pub(crate) use functions::{Call, Function, FunctionKey};
pub(crate) use graph::{Instance, Step};
pub(super) use library::Library;
pub(crate) use memory::Memory;

use super::Platform;
use crate::error::{DeviceError, Error};
use crate::gpu::{Architecture, TensorMap};
use crate::launch::Meta;

/// A device.
pub(crate) struct Gpu {
    driver: &'static Driver,
    ordinal: usize,
    /// The driver's number for it.
    device: c_int,
    context: Raw,
    stream: Raw,
    name: String,
    architecture: Architecture,
    most_shared: u32,
    multiprocessors: u32,
    /// Whether memory can be had in the order of the stream.
    has_pool: bool,
    /// For large copies; none until the first.
    staging: Mutex<staging::State>,
    /// Code that was compiled ahead of time, by the hash of its text.
    preloaded: Mutex<HashMap<u128, Arc<[u8]>>>,
    fault: Address,
    functions: Mutex<HashMap<FunctionKey, Arc<Function>>>,
    /// Kernels that were launched: a fault names one by its position.
    launched: Mutex<Vec<&'static Meta>>,
}

/// What a vendor's own functions say of a device.
pub(super) struct Opened {
    /// Null where devices have none.
    pub context: Handle,
    pub architecture: Architecture,
    /// Shared memory that a program may have, in bytes.
    pub most_shared: u32,
    /// Multiprocessors.
    pub multiprocessors: u32,
}

/// A handle of the driver, which any thread may use.
struct Raw(Handle);
// SAFETY: the driver's functions may be called with a handle from any thread.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

/// Of a memory pool: how much it keeps when nothing uses it.
const RELEASE_THRESHOLD: c_int = 4;
/// A stream that does not wait for the default one.
const NON_BLOCKING: u32 = 1;
/// What `cuInit`, `hipInit` and the count of devices say where there is a driver, and no device:
/// `CUDA_ERROR_NO_DEVICE`, `hipErrorNoDevice`, and early `hipErrorInvalidDevice`.
const NO_DEVICE: [c_int; 2] = [100, 101];

impl Gpu {
    /// The device of a number; made once.
    pub fn get(platform: Platform, ordinal: usize) -> Result<&'static Gpu, DeviceError> {
        static DEVICES: OnceLock<Mutex<HashMap<(Platform, usize), &'static Gpu>>> = OnceLock::new();
        let open = || {
            let driver = Driver::get(platform)?;
            let mut devices =
                DEVICES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(device) = devices.get(&(platform, ordinal)) {
                return Ok(*device);
            }
            let device: &'static Gpu = Box::leak(Box::new(Gpu::open(driver, ordinal)?));
            devices.insert((platform, ordinal), device);
            Ok(device)
        };
        open().map_err(|error| {
            let calls = ["cuInit", "cuDeviceGetCount", "hipInit", "hipGetDeviceCount"];
            if let DeviceError::Driver { call, code, .. } = &error
                && calls.contains(call)
                && NO_DEVICE.contains(code)
            {
                return DeviceError::NoDevice { platform, ordinal, count: 0 };
            }
            error
        })
    }

    fn open(driver: &'static Driver, ordinal: usize) -> Result<Gpu, DeviceError> {
        let (mut count, mut device) = (0, 0);
        let mut name = [0; 128];
        // SAFETY: each call writes to the places it is given; the device is one that the driver counts.
        unsafe {
            driver.device_count(&raw mut count)?;
            let number = c_int::try_from(ordinal).unwrap_or(c_int::MAX);
            if number >= count {
                let count = usize::try_from(count).unwrap_or(0);
                return Err(DeviceError::NoDevice { platform: driver.platform, ordinal, count });
            }
            driver.device_get(&raw mut device, number)?;
            driver.device_name(name.as_mut_ptr(), 128, device)?;
        }
        let opened = match &driver.own {
            Own::Cuda(calls) => calls.open(driver, device)?,
            Own::Rocm(calls) => calls.open(driver, device)?,
        };
        let mut gpu = Gpu {
            driver,
            ordinal,
            device,
            context: Raw(opened.context),
            stream: Raw(std::ptr::null_mut()),
            name: name.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect(),
            architecture: opened.architecture,
            most_shared: opened.most_shared,
            multiprocessors: opened.multiprocessors,
            has_pool: true,
            staging: Mutex::default(),
            preloaded: Mutex::default(),
            fault: 0,
            functions: Mutex::default(),
            launched: Mutex::default(),
        };
        gpu.enter()?;
        // SAFETY: a place to write to.
        unsafe { driver.stream_create(&raw mut gpu.stream.0, NON_BLOCKING)? };
        gpu.has_pool = gpu.keep_pool().is_ok();
        gpu.fault = gpu.allocate(size_of::<Fault>())?;
        Ok(gpu)
    }

    /// Makes the device current for this thread.
    fn enter(&self) -> Result<&'static Driver, DeviceError> {
        match &self.driver.own {
            Own::Cuda(calls) => calls.enter(self.driver, self.context.0)?,
            Own::Rocm(calls) => calls.enter(self.driver, self.device)?,
        }
        Ok(self.driver)
    }

    /// From 0.
    pub fn ordinal(&self) -> usize {
        self.ordinal
    }

    /// Whose it is.
    pub fn platform(&self) -> Platform {
        self.driver.platform
    }

    /// Shared memory that a program may have.
    pub fn most_shared(&self) -> u32 {
        self.most_shared
    }

    /// Multiprocessors, at least 1.
    pub fn multiprocessors(&self) -> u32 {
        self.multiprocessors.max(1)
    }

    /// What kernels are compiled for.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Whether the copy engine can be told about tensors.
    pub fn has_tensor_maps(&self) -> bool {
        match &self.driver.own {
            Own::Cuda(calls) => calls.has_tensor_maps(),
            Own::Rocm(_) => false,
        }
    }

    /// A tensor map as the copy engine reads it: 128 bytes.
    pub fn encode(&self, map: &TensorMap, to: &mut [u8]) -> Result<(), DeviceError> {
        match &self.driver.own {
            Own::Cuda(calls) => calls.encode(self.driver, map, to),
            Own::Rocm(_) => Ok(()),
        }
    }

    fn wait(&self) -> Result<(), DeviceError> {
        // SAFETY: the stream lives as long as the process.
        unsafe { self.driver.stream_wait(self.stream.0) }
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
        Err(fault.error(meta))
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform().prefix(), self.ordinal)
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} ({}, {})", self.name, self.architecture)
    }
}
