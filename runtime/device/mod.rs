//! Where tensors live and kernels run.

pub(crate) mod cpu;

use std::fmt;

pub use cpu::set_threads;

use crate::error::LaunchError;
use crate::simd::InstructionSet;

/// A device. There is one now: the CPU.
///
/// ```
/// use tilewright::Device;
/// println!("{}", Device::cpu()); // cpu (avx512, 8 threads)
/// assert!(Device::cpu().to_string().starts_with("cpu ("));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Cpu,
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

    /// The instruction set that kernels run: the best that the processor has, or what the environment
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
        match self.0 {
            Kind::Cpu => cpu::instruction_set(),
        }
    }

    /// How many threads a launch uses at most: those of rayon's pool, limited by the environment
    /// variable `TILEWRIGHT_THREADS` and by [`set_threads`].
    ///
    /// ```
    /// assert!(tilewright::Device::cpu().threads().is_ok_and(|threads| threads >= 1));
    /// ```
    ///
    /// # Errors
    /// `TILEWRIGHT_THREADS` is not a number of threads.
    pub fn threads(&self) -> Result<usize, LaunchError> {
        match self.0 {
            Kind::Cpu => Ok(cpu::thread_limit()?.min(rayon::current_num_threads())),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            Kind::Cpu => "cpu",
        };
        match (self.instruction_set(), self.threads()) {
            (Ok(set), Ok(1)) => write!(f, "{name} ({}, 1 thread)", set.name()),
            (Ok(set), Ok(threads)) => write!(f, "{name} ({}, {threads} threads)", set.name()),
            (Err(error), _) | (_, Err(error)) => write!(f, "{name} ({error})"),
        }
    }
}
