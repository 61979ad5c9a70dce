//! Where tensors live and kernels run.

pub(crate) mod cpu;
pub(crate) mod cuda;

use std::fmt;

pub use cpu::set_threads;
use cuda::Cuda;

use crate::error::{Error, LaunchError};
use crate::simd::InstructionSet;

/// A device: the CPU, or a GPU.
///
/// ```
/// use tilewright::Device;
/// println!("{}", Device::cpu()); // cpu (avx512, 8 threads)
/// assert!(Device::cpu().to_string().starts_with("cpu ("));
/// ```
#[derive(Clone, Copy)]
pub struct Device(Kind);

#[derive(Clone, Copy)]
enum Kind {
    Cpu,
    Cuda(&'static Cuda),
}

impl Device {
    /// The processor that the program runs on.
    ///
    /// ```
    /// assert_eq!(tilewright::Device::cpu(), tilewright::Device::cpu());
    /// ```
    #[must_use]
    pub const fn cpu() -> Device {
        Device(Kind::Cpu)
    }

    /// The NVIDIA GPU of a number, from 0. Its context is made once and stays until the process ends.
    ///
    /// ```
    /// use tilewright::Device;
    /// match Device::cuda(0) {
    ///     Ok(device) => println!("{device}"),
    ///     Err(error) => println!("no GPU here: {error}"),
    /// }
    /// ```
    ///
    /// # Errors
    /// The driver's library is not installed or too old, there is no such device, or the driver fails.
    pub fn cuda(ordinal: usize) -> Result<Device, Error> {
        Ok(Device(Kind::Cuda(Cuda::get(ordinal)?)))
    }

    /// Waits until all kernels launched on the device have ended. On the CPU they have.
    ///
    /// ```
    /// tilewright::Device::cpu().synchronize()?;
    /// # Ok::<(), tilewright::Error>(())
    /// ```
    ///
    /// # Errors
    /// One of them met an index outside a tensor, or the driver reports a failure.
    pub fn synchronize(&self) -> Result<(), Error> {
        match self.0 {
            Kind::Cpu => Ok(()),
            Kind::Cuda(cuda) => cuda.synchronize(),
        }
    }

    pub(crate) fn of(cuda: &'static Cuda) -> Device {
        Device(Kind::Cuda(cuda))
    }

    pub(crate) fn cuda_device(&self) -> Option<&'static Cuda> {
        match self.0 {
            Kind::Cpu => None,
            Kind::Cuda(cuda) => Some(cuda),
        }
    }

    /// The instruction set that kernels run on the CPU: the best that the processor has, or what the environment
    /// variable `TILEWRIGHT_CPU` (`scalar`, `avx2`, `avx512`) names.
    ///
    /// ```
    /// let set = tilewright::Device::cpu().instruction_set();
    /// assert!(set.is_err() || set.is_ok_and(|set| set.is_available()));
    /// ```
    ///
    /// # Errors
    /// `TILEWRIGHT_CPU` names none that this processor has.
    pub fn instruction_set(&self) -> Result<InstructionSet, LaunchError> {
        cpu::instruction_set()
    }

    /// How many threads a launch on the CPU uses at most: those of rayon's pool, limited by the environment
    /// variable `TILEWRIGHT_THREADS` and by [`set_threads`].
    ///
    /// ```
    /// assert!(tilewright::Device::cpu().threads().is_ok_and(|threads| threads >= 1));
    /// ```
    ///
    /// # Errors
    /// `TILEWRIGHT_THREADS` is not a number of threads.
    pub fn threads(&self) -> Result<usize, LaunchError> {
        Ok(cpu::thread_limit()?.min(rayon::current_num_threads()))
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        match (self.0, other.0) {
            (Kind::Cpu, Kind::Cpu) => true,
            (Kind::Cuda(a), Kind::Cuda(b)) => std::ptr::eq(a, b),
            (Kind::Cpu, Kind::Cuda(_)) | (Kind::Cuda(_), Kind::Cpu) => false,
        }
    }
}

impl Eq for Device {}

impl std::hash::Hash for Device {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.cuda_device().map(Cuda::ordinal).hash(state);
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Cpu => f.write_str("cpu"),
            Kind::Cuda(cuda) => write!(f, "cuda:{}", cuda.ordinal()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Kind::Cuda(cuda) = self.0 {
            return cuda.fmt(f);
        }
        let name = "cpu";
        match (self.instruction_set(), self.threads()) {
            (Ok(set), Ok(1)) => write!(f, "{name} ({}, 1 thread)", set.name()),
            (Ok(set), Ok(threads)) => write!(f, "{name} ({}, {threads} threads)", set.name()),
            (Err(error), _) | (_, Err(error)) => write!(f, "{name} ({error})"),
        }
    }
}
