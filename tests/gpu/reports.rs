//! What a GPU reports, and what is kept on disk.

use tilewright::prelude::*;
use tilewright::{DeviceError, Platform};

use super::kernels::kernels;
use super::{Outcome, PLATFORM, device, emulator, inside, nth};

#[kernel]
fn rows<M, N, D>(table: &Tensor<f32, (N, D)>, ids: &Tensor<i32, M>, out: &mut Tensor<f32, (M, D)>) {
    for m in tile(M) {
        out[(m, ..)] = table[(ids[m], ..)];
    }
}

#[test]
fn an_index_outside_is_reported_when_the_host_waits_and_only_once() -> Outcome {
    if !inside(module_path!(), "an_index_outside_is_reported_when_the_host_waits_and_only_once", &[]) {
        return Ok(());
    }
    let device = device()?;
    let table = Tensor::<f32>::arange(12).reshape((4, 3))?.to(&device)?;
    let ids = Tensor::from_vec(3, vec![2, 9, 0])?.to(&device)?;
    let mut out = Tensor::zeros_on((3, 3), &device)?;
    rows(&table, &ids, &mut out)?;
    let error = device.synchronize().unwrap_err();
    let expected =
        Error::IndexOutOfBounds { kernel: "rows", tensor: "table", dimension: 0, index: 9, length: 4 };
    assert_eq!(error, expected);
    device.synchronize()?;
    assert_eq!(out.to(&Device::cpu())?.to_vec(), [6.0, 7.0, 8.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
    Ok(())
}

#[test]
fn devices_that_are_not_there_and_memory_that_is_full_are_errors() -> Outcome {
    let memory = [("TW_EMULATOR_MEMORY", "1000000")];
    if !inside(module_path!(), "devices_that_are_not_there_and_memory_that_is_full_are_errors", &memory) {
        return Ok(());
    }
    assert_eq!(
        nth(7).unwrap_err(),
        Error::Device(DeviceError::NoDevice { platform: PLATFORM, ordinal: 7, count: 1 })
    );
    let error = Tensor::<f32>::zeros_on(1_000_000, &device()?).map(drop).unwrap_err();
    assert!(matches!(error, Error::Device(DeviceError::OutOfMemory { bytes: 4_000_000, .. })), "{error}");
    // What is dropped can be had again.
    for _ in 0..50 {
        Tensor::<f32>::zeros_on(100_000, &device()?)?;
    }
    Ok(())
}

#[test]
fn without_pools_memory_is_asked_for_each_time() -> Outcome {
    let variables = [("TW_EMULATOR_POOLS", "off"), ("TW_EMULATOR_MEMORY", "1000000")];
    if !inside(module_path!(), "without_pools_memory_is_asked_for_each_time", &variables) {
        return Ok(());
    }
    kernels::<f32>(1e-5)?;
    for _ in 0..50 {
        Tensor::<f32>::zeros_on(100_000, &device()?)?;
    }
    Ok(())
}

#[test]
fn a_device_is_found_by_its_name() -> Outcome {
    if !inside(module_path!(), "a_device_is_found_by_its_name", &[("TW_EMULATOR_DEVICES", "2")]) {
        return Ok(());
    }
    let second = nth(1)?;
    assert_eq!(format!("{second:?}").parse(), Ok(second));
    assert_eq!(format!("{PLATFORM}").to_lowercase().parse(), Ok(nth(0)?));
    assert_ne!(nth(0)?, second);
    for wrong in ["", "cpu:0", "cuda:", "rocm:x", "gpu", "cuda:-1"] {
        let error = wrong.parse::<Device>().unwrap_err();
        assert!(matches!(error, Error::Device(DeviceError::Name { .. })), "{wrong}: {error}");
    }
    Ok(())
}

#[test]
fn no_device_and_no_compiler_are_errors_of_their_platform() -> Outcome {
    let name = "no_device_and_no_compiler_are_errors_of_their_platform";
    let other = if PLATFORM == Platform::Cuda { "ROCm" } else { "CUDA" };
    if emulator::real_device().is_some() {
        println!("skipped: {name} needs emulated drivers");
        return Ok(());
    }
    if std::env::var_os("TW_EMULATOR_INSIDE").is_none() {
        let Some(folder) = emulator::folder() else { return Ok(()) };
        inside(module_path!(), name, &[("TW_EMULATOR_DEVICES", "0")]);
        // The drivers without the compilers.
        let bare = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bare-{PLATFORM}"));
        std::fs::create_dir_all(&bare).unwrap();
        for library in ["libcuda.so.1", "libamdhip64.so.7"] {
            std::fs::copy(folder.join(library), bare.join(library)).unwrap();
        }
        let cache = bare.join("empty");
        let variables =
            [("LD_LIBRARY_PATH", &*bare.to_string_lossy()), ("TILEWRIGHT_CACHE", &cache.to_string_lossy())];
        inside(module_path!(), name, &variables);
        return Ok(());
    }
    let error = if std::env::var("TW_EMULATOR_DEVICES").is_ok() {
        let error = nth(0).unwrap_err();
        assert_eq!(error, DeviceError::NoDevice { platform: PLATFORM, ordinal: 0, count: 0 }.into());
        error
    } else {
        let error = kernels::<f32>(1e-5).unwrap_err();
        let Error::Device(DeviceError::NoCompiler { platform, .. }) = error else { panic!("{error}") };
        assert_eq!(platform, PLATFORM);
        error
    };
    assert!(!error.to_string().contains(other), "{error}");
    Ok(())
}

#[test]
fn compiled_kernels_are_kept_on_disk_and_damaged_files_compiled_again() -> Outcome {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kernels-{PLATFORM}"));
    let name = "compiled_kernels_are_kept_on_disk_and_damaged_files_compiled_again";
    let path = folder.to_string_lossy();
    if emulator::real_device().is_some() {
        println!("skipped: {name} runs itself again, over the emulated driver");
        return Ok(());
    }
    if std::env::var_os("TW_EMULATOR_INSIDE").is_some() {
        return kernels::<f32>(1e-5);
    }
    let _ = std::fs::remove_dir_all(&folder);
    let files = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let Ok(files) = std::fs::read_dir(&folder) else { return Vec::new() };
        let mut files: Vec<_> =
            files.flatten().map(|file| (file.path(), std::fs::read(file.path()).unwrap())).collect();
        files.sort();
        files
    };
    inside(module_path!(), name, &[("TILEWRIGHT_CACHE", &path)]);
    let kept = files();
    if emulator::folder().is_none() {
        return Ok(());
    }
    assert!(!kept.is_empty());
    for (at, (path, bytes)) in kept.iter().enumerate() {
        let damaged = if at % 2 == 0 { bytes[..bytes.len() / 2].to_vec() } else { b"rubbish".to_vec() };
        std::fs::write(path, damaged).unwrap();
    }
    inside(module_path!(), name, &[("TILEWRIGHT_CACHE", &path)]);
    let lengths = |files: &[(std::path::PathBuf, Vec<u8>)]| -> Vec<usize> {
        files.iter().map(|(_, b)| b.len()).collect()
    };
    assert_eq!(lengths(&files()), lengths(&kept), "all were written again");
    Ok(())
}
