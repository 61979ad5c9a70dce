//! Launch sequences that are captured once and replayed by one call.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Device;
use super::gpu::{Gpu, Instance, Step};
use crate::error::{DeviceError, Error, LaunchError};
use crate::tensor::{Exclusive, Shared, Storage};

/// A sequence of launches on a GPU that one call replays, made by [`Device::capture`]: the host's work for
/// each launch is done once.
///
/// Each replay reads and writes the tensors that the captured launches were given, with the contents that
/// they have by then: put new input in with [`Tensor::copy_from`](crate::Tensor::copy_from). Their memory
/// lives as long as the graph.
pub struct Graph {
    instance: Instance,
    launches: usize,
    storages: Vec<Used>,
}

/// A storage that launches of a graph use.
pub(crate) struct Used {
    pub storage: Arc<Storage>,
    pub written: bool,
    /// Where first, for errors: the kernel and its parameter.
    pub kernel: &'static str,
    pub tensor: &'static str,
}

/// What a capture has so far.
struct Capture {
    gpu: &'static Gpu,
    steps: Vec<Step>,
    storages: Vec<Used>,
}

thread_local! {
    static CAPTURE: RefCell<Option<Capture>> = const { RefCell::new(None) };
}

/// Whose launches this thread captures.
pub(crate) fn capturing() -> Option<&'static Gpu> {
    CAPTURE.with_borrow(|capture| Some(capture.as_ref()?.gpu))
}

/// Refuses what cannot be part of a graph, named as in "launching softmax on cpu".
pub(crate) fn refuse_in_capture(refused: impl FnOnce() -> String) -> Result<(), DeviceError> {
    match capturing() {
        Some(gpu) => Err(DeviceError::Capturing { device: format!("{gpu:?}"), refused: refused() }),
        None => Ok(()),
    }
}

/// Adds a launch to this thread's capture.
pub(crate) fn keep(step: Step, used: impl Iterator<Item = Used>) {
    CAPTURE.with_borrow_mut(|capture| {
        let Some(capture) = capture else { return };
        if step.programs > 0 {
            capture.steps.push(step);
        }
        for used in used {
            let known = |other: &&mut Used| Arc::ptr_eq(&other.storage, &used.storage);
            match capture.storages.iter_mut().find(known) {
                Some(known) => known.written |= used.written,
                None => capture.storages.push(used),
            }
        }
    });
}

/// Ends a capture, if `calls` panics too.
struct Ended;

impl Drop for Ended {
    fn drop(&mut self) {
        CAPTURE.take();
    }
}

impl Device {
    /// Runs `calls` so that the kernels launched by it on this thread and device compute nothing yet, and
    /// gives them as a [`Graph`] (a CUDA graph, or ROCm's), which launches all of them, in order, by one call.
    /// All else that `calls` does happens once, now: a tensor made by it is zero, or a copy of the host's, before
    /// the first replay only, and scalars keep their values. It should not wait for rayon's threads, whose other
    /// work this one might then take on and capture.
    ///
    /// ```
    /// use tilewright::prelude::*;
    ///
    /// #[kernel]
    /// fn double<N>(x: &Tensor<f32, N>, out: &mut Tensor<f32, N>) {
    ///     for n in tile(N) {
    ///         out[n] = x[n] * 2.0;
    ///     }
    /// }
    ///
    /// fn four_times(device: &Device) -> Result<Tensor<f32>, Error> {
    ///     let mut x = Tensor::<f32>::zeros_on(100, device)?;
    ///     let (mut twice, mut four_times) = (Tensor::zeros_on(100, device)?, Tensor::zeros_on(100, device)?);
    ///     let graph = device.capture(|| {
    ///         double(&x, &mut twice)?;
    ///         double(&twice, &mut four_times)
    ///     })?;
    ///     x.copy_from(&Tensor::arange(100))?;
    ///     graph.launch()?;
    ///     four_times.to(&Device::cpu())
    /// }
    ///
    /// if let Ok(device) = Device::cuda(0) {
    ///     assert_eq!(four_times(&device)?.get(3)?, 12.0);
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// What `calls` says; it launched a kernel on another device or copied from this one, which cannot be
    /// captured; the device is the CPU, which has no graphs; or the driver fails.
    pub fn capture(&self, calls: impl FnOnce() -> Result<(), Error>) -> Result<Graph, Error> {
        let gpu = self.gpu().ok_or(DeviceError::NoGraphs)?;
        refuse_in_capture(|| "capturing another graph".into())?;
        CAPTURE.set(Some(Capture { gpu, steps: Vec::new(), storages: Vec::new() }));
        let ended = Ended;
        calls()?;
        let capture = CAPTURE.take();
        drop(ended);
        let (steps, storages) =
            capture.map_or_else(Default::default, |capture| (capture.steps, capture.storages));
        let launches = steps.len();
        // SAFETY: the argument blocks are those of real launches; the graph keeps their storages, and takes
        // the locks whenever it runs.
        let instance = unsafe { gpu.instantiate(steps)? };
        Ok(Graph { instance, launches, storages })
    }
}

impl Graph {
    /// Launches all of it. As for a kernel, the call may return before they have run, and later launches and
    /// copies come after them.
    ///
    /// ```
    /// use tilewright::prelude::*;
    /// if let Ok(device) = Device::cuda(0) {
    ///     device.capture(|| Ok(()))?.launch()?;
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// A tensor is in use, or the driver fails. An index outside a tensor is reported by the next
    /// [`Device::synchronize`] or copy to the host.
    pub fn launch(&self) -> Result<(), Error> {
        refuse_in_capture(|| "launching a graph".into())?;
        let mut held = SmallVec::<[Held<'_>; 16]>::new();
        for Used { storage, written, kernel, tensor } in &self.storages {
            let lock = if *written {
                storage.hold_exclusive().map(Held::Alone)
            } else {
                storage.hold_shared().map(Held::Shared)
            };
            held.push(lock.map_err(|_| LaunchError::Busy { kernel, tensor })?);
        }
        Ok(self.instance.launch()?)
    }

    /// How many launches it replays.
    ///
    /// ```
    /// use tilewright::prelude::*;
    /// if let Ok(device) = Device::cuda(0) {
    ///     assert_eq!(device.capture(|| Ok(()))?.len(), 0);
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.launches
    }

    /// Whether there are none.
    ///
    /// ```
    /// use tilewright::prelude::*;
    /// if let Ok(device) = Device::cuda(0) {
    ///     assert!(device.capture(|| Ok(()))?.is_empty());
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.launches == 0
    }
}

/// A storage's lock.
#[expect(dead_code, reason = "held for their Drop")]
enum Held<'g> {
    Shared(Shared<'g>),
    Alone(Exclusive<'g>),
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph of {} launches", self.launches)
    }
}
