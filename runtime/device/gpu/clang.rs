//! AMD's code from clang, where there is no hipRTC: for compiling ahead of time.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::DeviceError;

/// Names it is looked for under.
const NAMES: [&str; 5] = ["clang-21", "clang-20", "clang-19", "clang-18", "clang"];

/// A code object for an architecture such as `gfx942`; none if there is no clang.
pub(super) fn compile(kernel: &str, text: &str, architecture: &str) -> Option<Result<Vec<u8>, DeviceError>> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let there = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    let clang = NAMES.iter().find(there)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let stem = std::env::temp_dir().join(format!("tilewright-{}-{number}", std::process::id()));
    let (source, object) = (stem.with_extension("hip"), stem.with_extension("co"));
    let fails = |log: String| DeviceError::Compile { kernel: kernel.to_string(), log };
    let run = || -> std::io::Result<Result<Vec<u8>, String>> {
        std::fs::write(&source, text)?;
        let options =
            ["-x", "hip", "--offload-device-only", "--no-gpu-bundle-output", "-nogpuinc", "-nogpulib"];
        let output = Command::new(clang)
            .args(options)
            .args(["-O3", "-std=c++17", "-w"])
            .arg(format!("--offload-arch={architecture}"))
            .arg(&source)
            .arg("-o")
            .arg(&object)
            .output()?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(Ok(std::fs::read(&object)?))
    };
    let result = run();
    // Leftovers in the system's temporary folder harm nobody.
    let _ = std::fs::remove_file(&source);
    let _ = std::fs::remove_file(&object);
    Some(result.unwrap_or_else(|error| Err(error.to_string())).map_err(fails))
}
