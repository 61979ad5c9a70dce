//! A GPU for tests on machines without one: builds `tests/emulator/` and runs a test where it is found.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Builds the fake `libcuda.so.1`, `libnvrtc.so.13`, `libamdhip64.so.7` and `libhiprtc.so.7`, once; `None`, and a line that says so, where g++
/// is missing.
///
/// # Panics
///
/// If the emulator does not compile.
pub fn folder() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(build).clone()
}

fn build() -> Option<PathBuf> {
    // This file serves packages of the workspace too.
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("tests/emulator/build.sh"))
        .find(|script| script.exists())
        .expect("tests/emulator is in the workspace");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("emulator");
    if !cfg!(target_os = "linux") {
        println!("skipped: the GPU emulator needs Linux");
        return None;
    }
    let output = Command::new("sh").arg(script).arg(&folder).output().expect("sh starts");
    let text = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Some(folder),
        Some(3) => {
            println!("skipped: {}", text.trim());
            None
        }
        _ => panic!("the GPU emulator does not compile:\n{text}"),
    }
}

/// The device of `TILEWRIGHT_DEVICE`: a real GPU, on which tests run instead of under emulation.
///
/// # Panics
///
/// If there is no such device.
#[allow(dead_code)] // not every test that includes this file has something to do there
pub fn real_device() -> Option<tilewright::Device> {
    let name = std::env::var("TILEWRIGHT_DEVICE").ok()?;
    Some(name.parse().unwrap_or_else(|error| panic!("TILEWRIGHT_DEVICE={name}: {error}")))
}

/// Whether this process finds the emulated GPU. If not, runs the test `name` of this binary again in one
/// that does, with `variables` set, and passes its failure on; the caller then has nothing more to do.
///
/// ```ignore
/// #[test]
/// fn softmax_runs_on_a_gpu() {
///     if !emulator::inside("softmax_runs_on_a_gpu", &[("TW_EMULATOR_SEED", "1")]) {
///         return;
///     }
///     …
/// }
/// ```
///
/// # Panics
///
/// If the test fails in there.
#[allow(dead_code)] // not every test that includes this file runs itself again
pub fn inside(name: &str, variables: &[(&str, &str)]) -> bool {
    if std::env::var_os("TW_EMULATOR_INSIDE").is_some() {
        return true;
    }
    let Some(folder) = folder() else { return false };
    // The loader reads LD_LIBRARY_PATH only when a process starts.
    let mut path = folder.into_os_string();
    if let Some(before) = std::env::var_os("LD_LIBRARY_PATH") {
        path.push(":");
        path.push(before);
    }
    let output = Command::new(std::env::current_exe().expect("a test knows its path"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("LD_LIBRARY_PATH", path)
        .env("TW_EMULATOR_INSIDE", "1")
        .env_remove("TILEWRIGHT_DEVICE")
        // What the emulator compiles is no GPU's code: it must not meet a real compiler's in the user's cache.
        .env("TILEWRIGHT_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/emulated-kernels"))
        .envs(variables.iter().copied())
        .output()
        .expect("a test can run itself");
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} failed with the emulated GPU and {variables:?}");
    assert!(text.contains("1 passed"), "{name} is not the name of a test");
    false
}
