//! What a GPU, its driver or its compiler refuses.

use std::fmt;

use crate::device::Platform;

/// What a GPU, its driver or its compiler refuses.
///
/// ```
/// use tilewright::{DeviceError, Platform};
/// let error = DeviceError::NoDevice { platform: Platform::Cuda, ordinal: 3, count: 1 };
/// assert_eq!(error.to_string(), "there is no CUDA device 3: the driver finds 1; choose a number below that");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// The driver's library is not there.
    NoDriver {
        /// Whose.
        platform: Platform,
        /// The names it was looked for under.
        libraries: &'static [&'static str],
        /// What the loader says.
        reason: String,
    },
    /// A library lacks a function.
    OldDriver {
        /// Whose.
        platform: Platform,
        /// The library.
        library: &'static str,
        /// The function.
        symbol: &'static str,
    },
    /// No device has this number.
    NoDevice {
        /// Whose.
        platform: Platform,
        /// The number asked for.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },
    /// The device's memory is full.
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes that were free.
        free: usize,
    },
    /// A call of the driver failed.
    Driver {
        /// The function.
        call: &'static str,
        /// Its code.
        code: i32,
        /// The code's name.
        name: String,
        /// What the driver says about it.
        text: String,
    },
    /// No device is called so.
    Name {
        /// The name that was given.
        name: String,
    },
    /// Kernels that were compiled ahead of time cannot be used.
    Bundle {
        /// Why.
        reason: String,
    },
    /// This thread is capturing a graph, into which this cannot go.
    Capturing {
        /// The device whose launches are captured.
        device: String,
        /// What was asked for.
        refused: String,
    },
    /// The CPU runs launches at once: there is nothing to capture.
    NoGraphs,
    /// No GPU architecture that kernels are compiled for.
    Architecture {
        /// The name that was given.
        name: String,
    },
    /// The compiler of kernels is not there.
    NoCompiler {
        /// Whose.
        platform: Platform,
        /// The names it was looked for under.
        libraries: &'static [&'static str],
        /// What the loader says.
        reason: String,
    },
    /// A kernel's text does not compile: a fault of tilewright's.
    Compile {
        /// The kernel.
        kernel: String,
        /// The compiler's log, with lines of the text.
        log: String,
    },
}

/// Errors after which the driver refuses everything: illegal address, launch failure and the like.
const STICKY: [i32; 6] = [700, 702, 714, 715, 716, 719];

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceError::NoDriver { platform, libraries, reason } => {
                let driver = platform.pick("the NVIDIA driver", "AMD's ROCm");
                let libraries = libraries.join(", ");
                write!(
                    f,
                    "no library of {driver} loads ({libraries}: {reason}); install {driver}, or use Device::cpu()"
                )
            }
            DeviceError::OldDriver { platform, library, symbol } => write!(
                f,
                "{library} has no {symbol}: it is too old; install {}",
                platform.pick("a driver for CUDA 11.4 or later", "ROCm 5.2 or later")
            ),
            DeviceError::NoDevice { platform, ordinal, count: 0 } => write!(
                f,
                "there is no {platform} device {ordinal}: the driver finds none; see whether {} lists the GPU",
                platform.pick("nvidia-smi", "rocminfo")
            ),
            DeviceError::NoDevice { platform, ordinal, count } => write!(
                f,
                "there is no {platform} device {ordinal}: the driver finds {count}; choose a number below that"
            ),
            DeviceError::OutOfMemory { bytes, free } => write!(
                f,
                "the GPU has no room for {bytes} bytes ({free} are free); drop tensors, or use smaller ones"
            ),
            DeviceError::Driver { call, code, name, text } => {
                write!(f, "{call} fails with {name} ({code}): {text}")?;
                if STICKY.contains(code) {
                    write!(f, "; the device takes no more calls from this process, so restart it")?;
                }
                Ok(())
            }
            DeviceError::Name { name } => {
                write!(f, "`{name}` is no device: write cpu, cuda:0, rocm:0, or another number")
            }
            DeviceError::Bundle { reason } => {
                write!(
                    f,
                    "a bundle of compiled kernels cannot be used: {reason}; write it anew with Bundle::compile"
                )
            }
            DeviceError::Capturing { device, refused } => write!(
                f,
                "{refused} while launches of {device} are captured: it cannot be part of the graph; do it \
                 before or after `capture`"
            ),
            DeviceError::NoGraphs => f.write_str(
                "the CPU has no graphs, as launches run there at once; call the kernels themselves",
            ),
            DeviceError::Architecture { name } => write!(
                f,
                "`{name}` is no GPU architecture that kernels are compiled for: write sm_80 or a later one, or \
                 gfx90a, gfx942, gfx1100, gfx1201 and the like"
            ),
            DeviceError::NoCompiler { platform, libraries, reason } => write!(
                f,
                "no library of {} loads ({}: {reason}); install {}, which compiles kernels at their first use",
                platform.pick("NVRTC", "hipRTC"),
                libraries.join(", "),
                platform.pick("the CUDA toolkit's NVRTC", "ROCm's hipRTC")
            ),
            DeviceError::Compile { kernel, log } => {
                write!(f, "the GPU text of {kernel} does not compile, which is a fault of tilewright:\n{log}")
            }
        }
    }
}

impl std::error::Error for DeviceError {}
