//! A sequence of launches that the driver keeps: it checks and prepares them once, and starts all by one call.

use std::ffi::c_int;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Call, Function, Gpu, NON_BLOCKING, Raw};
use crate::device::Platform;
use crate::error::DeviceError;

/// One launch of a sequence.
pub(crate) struct Step {
    pub function: Arc<Function>,
    pub programs: u32,
    pub threads: u32,
    pub shared: u32,
    pub arguments: Vec<u8>,
}

/// The driver's form of a sequence.
pub(crate) struct Instance {
    gpu: &'static Gpu,
    /// The driver wants one call at a time.
    handle: Mutex<Raw>,
}

/// Other threads may meanwhile do as they like with the device: nothing but launches is captured, on a
/// stream that nobody else knows. `CU_STREAM_CAPTURE_MODE_RELAXED`, `hipStreamCaptureModeRelaxed`.
const RELAXED: c_int = 2;

impl Gpu {
    /// Has the driver prepare launches that run one after the other.
    ///
    /// # Safety
    /// As for `launch`, for as long as the instance lives.
    pub unsafe fn instantiate(&'static self, steps: Vec<Step>) -> Result<Instance, DeviceError> {
        let driver = self.enter()?;
        let (mut stream, mut graph, mut instance) =
            (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: each call writes to the places it is given. A capture that began is ended, and what it gave
        // is destroyed once, as is the stream; the instance needs neither.
        unsafe {
            driver.stream_create(&raw mut stream, NON_BLOCKING)?;
            let captured = driver.capture_begin(stream, RELAXED).and_then(|()| {
                let launched = steps.into_iter().try_for_each(|mut step| {
                    let Step { ref function, programs, threads, shared, .. } = step;
                    self.launch_on(stream, &Call { function, programs, threads, shared }, &mut step.arguments)
                });
                let ended = driver.capture_end(stream, &raw mut graph);
                launched.and(ended)
            });
            let instantiated = captured.and_then(|()| {
                driver.graph_instantiate(&raw mut instance, graph, 0)?;
                Ok(Instance { gpu: self, handle: Mutex::new(Raw(instance)) })
            });
            let no_graph = if graph.is_null() { Ok(()) } else { driver.graph_destroy(graph) };
            let no_stream = driver.stream_destroy(stream);
            // The first failure is the one that says why.
            let instance = instantiated?;
            no_graph.and(no_stream).map(|()| instance)
        }
    }
}

impl Instance {
    /// Starts it, after what was launched before.
    pub fn launch(&self) -> Result<(), DeviceError> {
        let driver = self.gpu.enter()?;
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: an instance of this device; its maker promised that its launches are sound.
        unsafe { driver.graph_launch(handle.0, self.gpu.stream.0) }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let Ok(driver) = self.gpu.enter() else { return };
        // CUDA frees an instance when it has ended; ROCm is not known to.
        if self.gpu.platform() == Platform::Rocm && self.gpu.wait().is_err() {
            return;
        }
        let handle = self.handle.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A failure here is one that every later call reports.
        // SAFETY: nobody else has the handle.
        let _ = unsafe { driver.instance_destroy(handle.0) };
    }
}
