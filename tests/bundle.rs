//! Kernels compiled ahead of time: launched where there is no compiler; damaged files are errors.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[path = "emulator/mod.rs"]
mod emulator;

use tilewright::prelude::*;
use tilewright::{Bundle, DeviceError};

type Outcome = Result<(), Error>;

#[kernel]
fn doubled<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = x[(m, n)] * 2.0;
    }
}

fn input() -> Tensor<f32> {
    Tensor::from_fn((40, 33), |at| (at[0] * 33 + at[1]) as f32)
}

/// The emulated device's architecture, and another.
fn bundle() -> Result<Bundle, Error> {
    let calls = || doubled(&input(), &mut Tensor::zeros((40, 33)));
    Bundle::compile(&["sm_80".parse()?, "sm_90a".parse()?], calls)
}

fn file() -> String {
    concat!(env!("CARGO_TARGET_TMPDIR"), "/test.twb").into()
}

/// In a process that finds the driver, and a compiler: writes the bundle.
#[test]
fn a_bundle_is_written() -> Outcome {
    if !emulator::inside("a_bundle_is_written", &[]) {
        return Ok(());
    }
    let bundle = bundle()?;
    assert_eq!(bundle.iter().count(), 2);
    // Two tests do this at once.
    let fresh = format!("{}.{}", file(), std::process::id());
    bundle.write(&fresh)?;
    std::fs::rename(&fresh, file()).unwrap();
    assert_eq!(Bundle::read(file())?, bundle);
    Ok(())
}

/// In a process whose compiler does not work: launches from it.
#[test]
fn a_bundles_kernels_need_no_compiler() -> Outcome {
    if std::env::var_os("TW_EMULATOR_INSIDE").is_none() {
        a_bundle_is_written()?;
    }
    let Some(_) = emulator::folder() else { return Ok(()) };
    let name = "a_bundles_kernels_need_no_compiler";
    // No C++ compiler behind the emulated NVRTC, and no kernels from earlier runs.
    let nothing = [
        ("TW_EMULATOR_CXX", "there-is-no-such-compiler"),
        ("TW_EMULATOR_CACHE", "off"),
        ("TILEWRIGHT_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/no-kernels")),
    ];
    let _ = std::fs::remove_dir_all(concat!(env!("CARGO_TARGET_TMPDIR"), "/no-kernels"));
    if !emulator::inside(name, &nothing) {
        return Ok(());
    }
    let device = Device::cuda(0)?;
    let (x, mut out) = (input().to(&device)?, Tensor::zeros_on((40, 33), &device)?);
    let error = doubled(&x, &mut out).unwrap_err();
    assert!(matches!(error, Error::Device(DeviceError::Compile { .. })), "{error}");
    assert_eq!(device.preload(&Bundle::read(file())?), 1);
    doubled(&x, &mut out)?;
    let wanted: Vec<f32> = input().to_vec().iter().map(|value| value * 2.0).collect();
    assert_eq!(out.to(&Device::cpu())?.to_vec(), wanted);
    Ok(())
}

#[test]
fn damaged_bundles_are_errors() -> Outcome {
    if !emulator::inside("damaged_bundles_are_errors", &[]) {
        return Ok(());
    }
    let bytes = bundle()?.to_bytes();
    let is_refused =
        |bytes: &[u8]| matches!(Bundle::from_bytes(bytes), Err(Error::Device(DeviceError::Bundle { .. })));
    for length in (0..200).chain((200..bytes.len()).step_by(997)) {
        assert!(is_refused(&bytes[..length]), "{length} bytes of it");
    }
    for at in (0..200).chain((200..bytes.len()).step_by(997)) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        assert!(is_refused(&damaged), "byte {at}");
    }
    assert!(!is_refused(&bytes));
    Ok(())
}
