//! The functions of the CUDA driver and of ROCm's that we call, found in their libraries at run time.
//!
//! A table of our own instead of a binding crate: three dozen functions, and a symbol that an old driver lacks
//! is an error here instead of a panic. HIP was made after CUDA, so one table with two columns of names
//! serves both; what differs is in [`cuda`] and [`rocm`].

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use super::library::Library;
use crate::device::{Platform, cuda, rocm};
use crate::error::DeviceError;

/// A handle of the driver.
pub(in crate::device) type Handle = *mut c_void;
/// An address in device memory.
pub(in crate::device) type Address = u64;

/// `CUDA_ERROR_OUT_OF_MEMORY`, `hipErrorOutOfMemory`.
const OUT_OF_MEMORY: c_int = 2;

/// A driver, initialised.
pub(in crate::device) struct Driver {
    pub platform: Platform,
    pub own: Own,
    table: Table,
}

/// What only one of them has.
pub(in crate::device) enum Own {
    Cuda(cuda::Calls),
    Rocm(rocm::Calls),
}

macro_rules! table {
    ($($name:ident = $cuda:literal, $rocm:literal: fn($($argument:ident: $ty:ty),*);)*) => {
        struct Table {
            $($name: unsafe extern "C" fn($($ty),*) -> c_int,)*
        }

        impl Table {
            fn load(library: &Library, platform: Platform) -> Result<Table, DeviceError> {
                // SAFETY: the types are those of the drivers' documentation.
                Ok(Table { $($name: unsafe { library.symbol(platform.pick($cuda, $rocm))? },)* })
            }
        }

        impl Driver {
            $(
                /// # Safety
                /// What the vendor's documentation asks for.
                #[allow(clippy::too_many_arguments, reason = "the driver's")]
                #[allow(dead_code, reason = "`free_memory` goes past its method")]
                pub unsafe fn $name(&self, $($argument: $ty),*) -> Result<(), DeviceError> {
                    // SAFETY: promised by the caller.
                    let code = unsafe { (self.table.$name)($($argument),*) };
                    self.check(self.platform.pick($cuda, $rocm), code)
                }
            )*
        }
    };
}

table! {
    init = "cuInit", "hipInit": fn(flags: c_uint);
    device_get = "cuDeviceGet", "hipDeviceGet": fn(device: *mut c_int, ordinal: c_int);
    device_count = "cuDeviceGetCount", "hipGetDeviceCount": fn(count: *mut c_int);
    device_name = "cuDeviceGetName", "hipDeviceGetName": fn(name: *mut c_char, bytes: c_int, device: c_int);
    stream_create = "cuStreamCreate", "hipStreamCreateWithFlags": fn(stream: *mut Handle, flags: c_uint);
    stream_wait = "cuStreamSynchronize", "hipStreamSynchronize": fn(stream: Handle);
    memory_info = "cuMemGetInfo_v2", "hipMemGetInfo": fn(free: *mut usize, total: *mut usize);
    pool_of = "cuDeviceGetDefaultMemPool", "hipDeviceGetDefaultMemPool": fn(pool: *mut Handle, device: c_int);
    pool_set = "cuMemPoolSetAttribute", "hipMemPoolSetAttribute": fn(
        pool: Handle, attribute: c_int, value: *mut c_void
    );
    pool_allocate = "cuMemAllocAsync", "hipMallocAsync": fn(
        address: *mut Address, bytes: usize, stream: Handle
    );
    pool_free = "cuMemFreeAsync", "hipFreeAsync": fn(address: Address, stream: Handle);
    allocate = "cuMemAlloc_v2", "hipMalloc": fn(address: *mut Address, bytes: usize);
    free = "cuMemFree_v2", "hipFree": fn(address: Address);
    fill = "cuMemsetD8Async", "hipMemsetD8Async": fn(
        address: Address, value: u8, bytes: usize, stream: Handle
    );
    copy_in = "cuMemcpyHtoDAsync_v2", "hipMemcpyHtoDAsync": fn(
        to: Address, from: *const c_void, bytes: usize, stream: Handle
    );
    copy_out = "cuMemcpyDtoHAsync_v2", "hipMemcpyDtoHAsync": fn(
        to: *mut c_void, from: Address, bytes: usize, stream: Handle
    );
    copy_within = "cuMemcpyDtoDAsync_v2", "hipMemcpyDtoDAsync": fn(
        to: Address, from: Address, bytes: usize, stream: Handle
    );
    host_allocate = "cuMemHostAlloc", "hipHostMalloc": fn(memory: *mut Handle, bytes: usize, flags: c_uint);
    event_create = "cuEventCreate", "hipEventCreateWithFlags": fn(event: *mut Handle, flags: c_uint);
    event_record = "cuEventRecord", "hipEventRecord": fn(event: Handle, stream: Handle);
    event_wait = "cuEventSynchronize", "hipEventSynchronize": fn(event: Handle);
    module_load = "cuModuleLoadData", "hipModuleLoadData": fn(module: *mut Handle, code: *const c_void);
    module_function = "cuModuleGetFunction", "hipModuleGetFunction": fn(
        function: *mut Handle, module: Handle, name: *const c_char
    );
    stream_destroy = "cuStreamDestroy_v2", "hipStreamDestroy": fn(stream: Handle);
    capture_begin = "cuStreamBeginCapture_v2", "hipStreamBeginCapture": fn(stream: Handle, mode: c_int);
    capture_end = "cuStreamEndCapture", "hipStreamEndCapture": fn(stream: Handle, graph: *mut Handle);
    graph_instantiate = "cuGraphInstantiateWithFlags", "hipGraphInstantiateWithFlags": fn(
        instance: *mut Handle, graph: Handle, flags: u64
    );
    graph_launch = "cuGraphLaunch", "hipGraphLaunch": fn(instance: Handle, stream: Handle);
    graph_destroy = "cuGraphDestroy", "hipGraphDestroy": fn(graph: Handle);
    instance_destroy = "cuGraphExecDestroy", "hipGraphExecDestroy": fn(instance: Handle);
    launch = "cuLaunchKernel", "hipModuleLaunchKernel": fn(
        function: Handle, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint, block_y: c_uint,
        block_z: c_uint, shared: c_uint, stream: Handle, parameters: *mut Handle, extra: *mut Handle
    );
}

impl Driver {
    /// The driver of this process, initialised.
    pub fn get(platform: Platform) -> Result<&'static Driver, DeviceError> {
        static DRIVERS: [OnceLock<Result<Driver, DeviceError>>; 2] = [const { OnceLock::new() }; 2];
        let driver = platform.pick(&DRIVERS[0], &DRIVERS[1]);
        driver.get_or_init(|| Driver::load(platform)).as_ref().map_err(Clone::clone)
    }

    fn load(platform: Platform) -> Result<Driver, DeviceError> {
        let libraries = platform.drivers();
        let library = Library::open(platform, libraries);
        let library = library.map_err(|reason| DeviceError::NoDriver { platform, libraries, reason })?;
        let own = match platform {
            Platform::Cuda => Own::Cuda(cuda::Calls::load(&library)?),
            Platform::Rocm => Own::Rocm(rocm::Calls::load(&library)?),
        };
        let driver = Driver { platform, own, table: Table::load(&library, platform)? };
        library.keep();
        // SAFETY: flags must be 0.
        unsafe { driver.init(0)? };
        Ok(driver)
    }

    /// The result of a call as an error that names it.
    pub fn check(&self, call: &'static str, code: c_int) -> Result<(), DeviceError> {
        match code {
            0 => Ok(()),
            OUT_OF_MEMORY => Err(DeviceError::OutOfMemory { bytes: 0, free: self.free_memory() }),
            _ => {
                let (name, text) = match &self.own {
                    Own::Cuda(calls) => calls.describe(code),
                    Own::Rocm(calls) => calls.describe(code),
                };
                Err(DeviceError::Driver { call, code, name, text })
            }
        }
    }

    /// Bytes that are free on the current device.
    fn free_memory(&self) -> usize {
        let (mut free, mut total) = (0, 0);
        // SAFETY: two places to write to. Where it fails, nothing is free.
        unsafe { (self.table.memory_info)(&raw mut free, &raw mut total) };
        free
    }
}
