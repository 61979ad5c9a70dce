//! The GPU architectures that texts are written for.

use std::fmt;
use std::str::FromStr;

use crate::device::Platform;
use crate::error::DeviceError;

/// A GPU architecture, by the name that its compiler gives it: `sm_90a`, `gfx942`.
///
/// ```
/// use tilewright::Architecture;
///
/// let hopper: Architecture = "sm_90a".parse()?;
/// assert_eq!(hopper.to_string(), "sm_90a");
/// assert!("sm_3".parse::<Architecture>().is_err());
/// # Ok::<(), tilewright::DeviceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Architecture {
    family: Family,
    /// The number in its name; AMD's is hexadecimal.
    number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Family {
    Cuda,
    Amd,
}

/// The matrix instructions of an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matrix {
    /// `mma.sync`, a warp at a time.
    Mma,
    /// `wgmma` too, four warps at a time, from shared memory.
    Wgmma,
    /// AMD's CDNA.
    Mfma,
    /// AMD's RDNA 3; RDNA 4 where `split`.
    Wmma {
        /// Whether half the lanes hold half of an operand, and not all of them all of it.
        split: bool,
    },
    /// None that texts use.
    None,
}

/// Oldest supported: `cp.async` and products of bf16.
const OLDEST_CUDA: u32 = 80;

impl Architecture {
    /// NVIDIA's, by compute capability: 90 for 9.0.
    pub(crate) const fn cuda(number: u32) -> Architecture {
        Architecture { family: Family::Cuda, number }
    }

    /// Threads of a warp, as a power of two.
    pub(crate) fn warp_bits(self) -> u32 {
        if self.matrix() == Matrix::Mfma || (self.is_amd() && self.number < 0x1000) { 6 } else { 5 }
    }

    pub(crate) fn platform(self) -> Platform {
        match self.family {
            Family::Cuda => Platform::Cuda,
            Family::Amd => Platform::Rocm,
        }
    }

    pub(crate) fn is_amd(self) -> bool {
        self.family == Family::Amd
    }

    pub(crate) fn matrix(self) -> Matrix {
        match (self.family, self.number) {
            (Family::Cuda, 90) => Matrix::Wgmma,
            (Family::Cuda, _) => Matrix::Mma,
            (Family::Amd, 0x90a | 0x940..=0x950) => Matrix::Mfma,
            (Family::Amd, 0x1100..=0x11ff) => Matrix::Wmma { split: false },
            (Family::Amd, 0x1200..=0x12ff) => Matrix::Wmma { split: true },
            (Family::Amd, _) => Matrix::None,
        }
    }

    /// Shared memory that a program may have, in bytes, where no device says.
    pub(crate) fn most_shared(self) -> u32 {
        match (self.family, self.number) {
            (Family::Cuda, 90 | 100 | 103) => 227 << 10,
            (Family::Cuda, 80 | 87) => 163 << 10,
            (Family::Cuda, _) => 99 << 10,
            (Family::Amd, _) => 64 << 10,
        }
    }

    /// The line by which a text knows it.
    pub(crate) fn definition(self) -> String {
        match self.family {
            Family::Cuda => format!("#define TW_CUDA {}\n", self.number),
            Family::Amd => format!("#define TW_AMD {:#x}\n", self.number),
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            // The `a` variants have instructions that no other device has, and texts use them.
            Family::Cuda if self.number >= 90 => write!(f, "sm_{}a", self.number),
            Family::Cuda => write!(f, "sm_{}", self.number),
            Family::Amd => write!(f, "gfx{:x}", self.number),
        }
    }
}

impl FromStr for Architecture {
    type Err = DeviceError;

    /// # Errors
    /// No architecture has this name, or it is too old: the first is `sm_80`.
    fn from_str(name: &str) -> Result<Architecture, DeviceError> {
        let known = if let Some(digits) = name.strip_prefix("sm_") {
            let number = digits.trim_end_matches(['a', 'f']).parse().ok();
            number.filter(|number| (OLDEST_CUDA..1000).contains(number)).map(Architecture::cuda)
        } else {
            let number = name.strip_prefix("gfx").and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let number = number.filter(|number| (0x900..0x2000).contains(number));
            number.map(|number| Architecture { family: Family::Amd, number })
        };
        known.ok_or_else(|| DeviceError::Architecture { name: name.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Architecture {
        name.parse().expect(name)
    }

    #[test]
    fn names_are_read_and_written_alike() {
        for name in ["sm_80", "sm_89", "sm_90a", "sm_100a", "gfx90a", "gfx942", "gfx1100", "gfx1201"] {
            assert_eq!(named(name).to_string(), name);
        }
        for wrong in ["", "sm_", "sm_70", "sm_x", "gfx", "gfx7", "GFX942", "sm_90000"] {
            assert!(wrong.parse::<Architecture>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn warps_and_matrix_instructions_are_the_architectures() {
        assert_eq!((named("sm_90a").matrix(), named("sm_90a").warp_bits()), (Matrix::Wgmma, 5));
        assert_eq!((named("sm_80").matrix(), named("sm_100a").matrix()), (Matrix::Mma, Matrix::Mma));
        assert_eq!((named("gfx90a").matrix(), named("gfx942").warp_bits()), (Matrix::Mfma, 6));
        assert_eq!(
            (named("gfx1100").matrix(), named("gfx1100").warp_bits()),
            (Matrix::Wmma { split: false }, 5)
        );
        assert_eq!(named("gfx1201").matrix(), Matrix::Wmma { split: true });
        assert_eq!((named("gfx906").matrix(), named("gfx906").warp_bits()), (Matrix::None, 6));
    }
}
