//! Which instruction set runs, chosen once per process.

use std::sync::OnceLock;

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// Portable Rust; always there.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ, VL and CD.
    Avx512,
}

impl InstructionSet {
    /// All, slowest first.
    pub const ALL: [InstructionSet; 3] =
        [InstructionSet::Scalar, InstructionSet::Avx2, InstructionSet::Avx512];

    /// `scalar`, `avx2`, `avx512`: what `TILEWRIGHT_CPU` accepts.
    ///
    /// ```
    /// assert_eq!(tilewright::simd::InstructionSet::Scalar.name(), "scalar");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Scalar => "scalar",
            InstructionSet::Avx2 => "avx2",
            InstructionSet::Avx512 => "avx512",
        }
    }

    /// Whether this machine can run it.
    ///
    /// ```
    /// assert!(tilewright::simd::InstructionSet::Scalar.is_available());
    /// ```
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            InstructionSet::Scalar => true,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            InstructionSet::Avx2 => {
                use std::arch::is_x86_feature_detected as has;
                has!("avx2") && has!("fma") && has!("f16c") && has!("bmi2")
            }
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            InstructionSet::Avx512 => {
                use std::arch::is_x86_feature_detected as has;
                InstructionSet::Avx2.is_available()
                    && has!("avx512f")
                    && has!("avx512bw")
                    && has!("avx512dq")
                    && has!("avx512vl")
                    && has!("avx512cd")
            }
            #[cfg(not(all(target_arch = "x86_64", not(miri))))]
            InstructionSet::Avx2 | InstructionSet::Avx512 => false,
        }
    }

    /// The best that this machine has, unless the environment variable `TILEWRIGHT_CPU` names another;
    /// a name that is unknown or that the machine lacks is an error saying so.
    ///
    /// # Errors
    /// The message to show.
    pub fn detect() -> Result<InstructionSet, String> {
        static FOUND: OnceLock<Result<InstructionSet, String>> = OnceLock::new();
        let find = || match std::env::var("TILEWRIGHT_CPU") {
            Ok(name) => named(&name),
            Err(_) => Ok(best()),
        };
        FOUND.get_or_init(find).clone()
    }
}

/// Whether AMD made the processor: some of what is fast differs between vendors with the same instructions.
pub(crate) fn is_amd() -> bool {
    static IS_AMD: OnceLock<bool> = OnceLock::new();
    *IS_AMD.get_or_init(find_amd)
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn find_amd() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx] == [*b"Auth", *b"enti", *b"cAMD"].map(u32::from_le_bytes)
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn find_amd() -> bool {
    false
}

fn best() -> InstructionSet {
    let available = InstructionSet::ALL.into_iter().rev().find(|set| set.is_available());
    available.unwrap_or(InstructionSet::Scalar)
}

fn named(name: &str) -> Result<InstructionSet, String> {
    let known = InstructionSet::ALL.into_iter().find(|set| set.name() == name);
    match known {
        Some(set) if set.is_available() => Ok(set),
        Some(set) => Err(format!(
            "TILEWRIGHT_CPU={name}, but this processor lacks it; the best it has is {}",
            if set > best() { best().name() } else { InstructionSet::Scalar.name() }
        )),
        None => Err(format!("TILEWRIGHT_CPU={name} is not an instruction set; use scalar, avx2 or avx512")),
    }
}
