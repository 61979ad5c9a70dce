//! The GPU emulator's own test: right kernels under adversarial schedules, and planted bugs it must catch.

#[path = "emulator/mod.rs"]
mod emulator;

use std::process::Command;

#[test]
fn right_kernels_are_right_and_planted_bugs_are_caught() {
    let Some(folder) = emulator::folder() else { return };
    let output = Command::new(folder.join("selftest")).arg(&folder).output().expect("the selftest starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all held"), "{text}");
}

#[test]
fn a_process_inside_finds_the_libraries() {
    if !emulator::inside("a_process_inside_finds_the_libraries", &[("TW_EMULATOR_SEED", "1")]) {
        return;
    }
    assert_eq!(std::env::var("TW_EMULATOR_SEED").as_deref(), Ok("1"));
    let path = std::env::var("LD_LIBRARY_PATH").expect("it is set");
    let first = path.split(':').next().expect("there is a first folder");
    for library in
        ["libcuda.so", "libcuda.so.1", "libnvrtc.so", "libnvrtc.so.13", "libamdhip64.so.7", "libhiprtc.so.7"]
    {
        assert!(std::path::Path::new(first).join(library).exists(), "no {library} in {first}");
    }
}
