//! The makers of GPUs that we know, and what their software is called.

use std::fmt;

/// Whose GPUs: NVIDIA's, driven by CUDA, or AMD's, driven by ROCm.
///
/// ```
/// use tilewright::Platform;
/// assert_eq!(Platform::Rocm.to_string(), "ROCm");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// NVIDIA's.
    Cuda,
    /// AMD's.
    Rocm,
}

impl Platform {
    /// One of two things: CUDA's or ROCm's.
    pub(crate) const fn pick<T: Copy>(self, cuda: T, rocm: T) -> T {
        match self {
            Platform::Cuda => cuda,
            Platform::Rocm => rocm,
        }
    }

    /// What devices' names begin with: `cuda:0`, `rocm:0`.
    pub(crate) const fn prefix(self) -> &'static str {
        self.pick("cuda", "rocm")
    }

    /// Names under which the driver's library is installed, the newest first.
    pub(crate) const fn drivers(self) -> &'static [&'static str] {
        if cfg!(windows) {
            return self.pick(&["nvcuda.dll"], &["amdhip64_7.dll", "amdhip64_6.dll", "amdhip64.dll"]);
        }
        // ROCm's folder is not always among the loader's.
        self.pick(
            &["libcuda.so.1"],
            &[
                "libamdhip64.so.7",
                "libamdhip64.so.6",
                "libamdhip64.so.5",
                "libamdhip64.so",
                "/opt/rocm/lib/libamdhip64.so",
            ],
        )
    }

    /// Names under which the compiler's library is installed, the newest first.
    pub(crate) const fn compilers(self) -> &'static [&'static str] {
        if cfg!(windows) {
            return self
                .pick(&["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"], &["hiprtc0700.dll", "hiprtc0604.dll"]);
        }
        self.pick(
            &["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"],
            // hipRTC was once a part of HIP.
            &[
                "libhiprtc.so.7",
                "libhiprtc.so.6",
                "libhiprtc.so.5",
                "libhiprtc.so",
                "/opt/rocm/lib/libhiprtc.so",
                "libamdhip64.so.5",
            ],
        )
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pick("CUDA", "ROCm"))
    }
}
