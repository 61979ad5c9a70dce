//! Where tensors live and kernels run.

pub(crate) mod cpu;
mod cuda;
pub(crate) mod gpu;
pub(crate) mod graph;
mod platform;
mod rocm;

use std::fmt;
use std::str::FromStr;

pub use cpu::set_threads;
use gpu::Gpu;
pub use graph::Graph;
pub use platform::Platform;

use crate::error::{DeviceError, Error, LaunchError};
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
    Gpu(&'static Gpu),
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
        Ok(Device(Kind::Gpu(Gpu::get(Platform::Cuda, ordinal)?)))
    }

    /// The AMD GPU of a number, from 0, through ROCm. It is opened once and stays until the process ends.
    ///
    /// ```
    /// use tilewright::Device;
    /// match Device::rocm(0) {
    ///     Ok(device) => println!("{device}"),
    ///     Err(error) => println!("no GPU here: {error}"),
    /// }
    /// ```
    ///
    /// # Errors
    /// ROCm is not installed or too old, there is no such device, kernels are not compiled for its
    /// architecture, or a call fails.
    pub fn rocm(ordinal: usize) -> Result<Device, Error> {
        Ok(Device(Kind::Gpu(Gpu::get(Platform::Rocm, ordinal)?)))
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
            Kind::Gpu(gpu) => gpu.synchronize(),
        }
    }

    pub(crate) fn of(gpu: &'static Gpu) -> Device {
        Device(Kind::Gpu(gpu))
    }

    pub(crate) fn gpu(&self) -> Option<&'static Gpu> {
        match self.0 {
            Kind::Cpu => None,
            Kind::Gpu(gpu) => Some(gpu),
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
            (Kind::Gpu(a), Kind::Gpu(b)) => std::ptr::eq(a, b),
            (Kind::Cpu, Kind::Gpu(_)) | (Kind::Gpu(_), Kind::Cpu) => false,
        }
    }
}

impl Eq for Device {}

impl std::hash::Hash for Device {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.gpu().map(|gpu| (gpu.platform(), gpu.ordinal())).hash(state);
    }
}

impl FromStr for Device {
    type Err = Error;

    /// `cpu`, `cuda`, `cuda:1`, `rocm`, `rocm:1`: what `{:?}` prints, and without a number the first.
    ///
    /// ```
    /// use tilewright::Device;
    /// assert_eq!("cpu".parse(), Ok(Device::cpu()));
    /// assert!("gpu".parse::<Device>().unwrap_err().to_string().contains("`gpu` is no device"));
    /// ```
    ///
    /// # Errors
    /// No device has this name, or what [`Device::cuda`] or [`Device::rocm`] says.
    fn from_str(name: &str) -> Result<Device, Error> {
        let (kind, ordinal) = name.split_once(':').unwrap_or((name, "0"));
        match (kind, ordinal.parse()) {
            ("cpu", _) if kind == name => Ok(Device::cpu()),
            ("cuda", Ok(ordinal)) => Device::cuda(ordinal),
            ("rocm", Ok(ordinal)) => Device::rocm(ordinal),
            _ => Err(DeviceError::Name { name: name.to_string() }.into()),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Cpu => f.write_str("cpu"),
            Kind::Gpu(gpu) => gpu.fmt(f),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Kind::Gpu(gpu) = self.0 {
            return gpu.fmt(f);
        }
        let name = "cpu";
        match (self.instruction_set(), self.threads()) {
            (Ok(set), Ok(1)) => write!(f, "{name} ({}, 1 thread)", set.name()),
            (Ok(set), Ok(threads)) => write!(f, "{name} ({}, {threads} threads)", set.name()),
            (Err(error), _) | (_, Err(error)) => write!(f, "{name} ({error})"),
        }
    }
}
