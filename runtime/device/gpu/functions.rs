//! A GPU's kernels: compiled once, launched often; and the record in which they report a fault.

use std::ffi::CString;
use std::sync::{Arc, PoisonError};

use super::compiler::Compiler;
use super::driver::Own;
use super::{Gpu, Handle, Raw, cache};
use crate::error::{DeviceError, Error};
use crate::gpu::hash;
use crate::launch::Meta;

/// What tells one compiled kernel from another: the kernel, and the constants of its text.
pub(crate) type FunctionKey = (usize, Vec<i64>);

/// A compiled kernel.
pub(crate) struct Function {
    handle: Raw,
    launch: u32,
}

/// How a kernel is launched.
#[derive(Clone, Copy)]
pub(crate) struct Call<'f> {
    pub function: &'f Function,
    /// Blocks of the grid.
    pub programs: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Dynamic shared memory of a block, in bytes.
    pub shared: u32,
}

/// `Fault` of the prelude.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Fault {
    pub claimed: u32,
    pub launch: u32,
    tensor: i32,
    dimension: i32,
    index: i64,
    length: i32,
    pad: i32,
}

impl Fault {
    /// What it says, if it is `meta`'s.
    pub fn error(&self, meta: &Meta) -> Error {
        let tensor = usize::try_from(self.tensor).ok().and_then(|at| meta.tensors.get(at));
        Error::IndexOutOfBounds {
            kernel: meta.kernel,
            tensor: tensor.map_or("", |tensor| tensor.name),
            dimension: usize::try_from(self.dimension).unwrap_or(0),
            index: self.index,
            length: usize::try_from(self.length).unwrap_or(0),
        }
    }
}

impl Gpu {
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
        let code = self.code(kernel, &text())?;
        let driver = self.enter()?;
        let (mut module, mut handle) = (std::ptr::null_mut(), std::ptr::null_mut());
        let name = CString::new(kernel).unwrap_or_default();
        // SAFETY: whole code, as the compiler gave it; the module is never unloaded.
        unsafe {
            driver.module_load(&raw mut module, code.as_ptr().cast())?;
            driver.module_function(&raw mut handle, module, name.as_ptr())?;
        }
        // AMD's functions may have all that there is.
        if let Own::Cuda(calls) = &driver.own {
            calls.allow_shared(driver, handle, shared)?;
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

    /// Takes code that was compiled ahead of time.
    pub fn preload(&self, code: Vec<(u128, Arc<[u8]>)>) {
        self.preloaded.lock().unwrap_or_else(PoisonError::into_inner).extend(code);
    }

    fn code(&self, kernel: &str, text: &str) -> Result<Vec<u8>, DeviceError> {
        let preloaded = self.preloaded.lock().unwrap_or_else(PoisonError::into_inner);
        if !preloaded.is_empty()
            && let Some(code) = preloaded.get(&hash(text.as_bytes()))
        {
            return Ok(code.to_vec());
        }
        drop(preloaded);
        let architecture = self.architecture.to_string();
        let compiler = Compiler::get(self.platform())?;
        let version = format!("{} {:?} {}", self.platform(), compiler.version(), env!("CARGO_PKG_VERSION"));
        let parts = [text, &architecture, &version];
        if let Some(code) = cache::get(&parts) {
            return Ok(code);
        }
        let code = compiler.compile(kernel, text, &architecture)?;
        cache::put(&parts, &code);
        Ok(code)
    }

    /// Launches a kernel. The first 12 bytes of `arguments` are set here.
    ///
    /// # Safety
    /// `arguments` is the kernel's argument block; its addresses are this device's, and live until the next
    /// launch after they are freed.
    pub unsafe fn launch(&self, call: &Call<'_>, arguments: &mut [u8]) -> Result<(), DeviceError> {
        // SAFETY: promised by the caller.
        unsafe { self.launch_on(self.stream.0, call, arguments) }
    }

    /// As `launch`, on a stream of this device.
    ///
    /// # Safety
    /// As for `launch`.
    pub(super) unsafe fn launch_on(
        &self,
        stream: Handle,
        call: &Call<'_>,
        arguments: &mut [u8],
    ) -> Result<(), DeviceError> {
        let Call { function, programs, threads, shared } = *call;
        if programs == 0 {
            return Ok(());
        }
        let driver = self.enter()?;
        arguments[..8].copy_from_slice(&self.fault.to_le_bytes());
        arguments[8..12].copy_from_slice(&function.launch.to_le_bytes());
        let mut length = arguments.len();
        // CU_LAUNCH_PARAM_BUFFER_POINTER, _SIZE and _END, of which HIP numbers the last otherwise.
        let mut extra = [
            std::ptr::without_provenance_mut(1),
            arguments.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(2),
            (&raw mut length).cast(),
            std::ptr::without_provenance_mut(self.platform().pick(0, 3)),
        ];
        let none = std::ptr::null_mut();
        // SAFETY: promised by the caller; the driver copies the block before it returns.
        unsafe {
            let handle = function.handle.0;
            driver.launch(handle, programs, 1, 1, threads, 1, 1, shared, stream, none, extra.as_mut_ptr())
        }
    }
}
