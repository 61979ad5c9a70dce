//! Tensors and kernels on an NVIDIA GPU, through the driver's interface: on machines without one, over the
//! emulated driver and compiler of tests/emulator.

#[path = "emulator/mod.rs"]
mod emulator;

use std::fmt::Debug;

use tilewright::prelude::*;
use tilewright::{DeviceError, Element, LaunchError, Platform, TensorError};

#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}

#[kernel]
fn linear<T: Float, M, N, K>(x: &Tensor<T, (M, K)>, w: &Tensor<T, (N, K)>, out: &mut Tensor<T, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc.cast();
    }
}

#[kernel]
fn rows<M, N, D>(table: &Tensor<f32, (N, D)>, ids: &Tensor<i32, M>, out: &mut Tensor<f32, (M, D)>) {
    for m in tile(M) {
        out[(m, ..)] = table[(ids[m], ..)];
    }
}

#[kernel]
fn scaled<M>(x: &Tensor<i16, M>, out: &mut Tensor<i16, M>, shift: usize, on: bool) {
    for m in tile(M) {
        if on {
            out[m] = x.at(m + shift).or(0);
        }
    }
}

mod other {
    use tilewright::prelude::*;

    #[device]
    pub fn half_of(x: f32) -> f32 {
        x * 0.25 + 1.0
    }
}

#[device]
fn half_of(x: f32) -> f32 {
    x * 0.5
}

/// Calls another, of the same name as a third.
#[device]
fn quarter_of(x: f32, limit: i32) -> f32 {
    let half = half_of(half_of(x));
    select(limit > 2, half, other::half_of(-1.5f32))
}

#[kernel]
fn halves<F: Fn(f32) -> f32, M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>, limit: i32) {
    for m in tile(M) {
        out[m] = quarter_of(x[m], limit) + half_of(x[m]) + F(x[m]);
    }
}

type Outcome = Result<(), Error>;

fn device() -> Result<Device, Error> {
    Device::cuda(0)
}

#[test]
fn without_a_driver_the_error_names_its_library() {
    if std::path::Path::new("/dev/nvidiactl").exists() || std::env::var_os("TW_EMULATOR_INSIDE").is_some() {
        println!("skipped: there is a driver here");
        return;
    }
    let error = Device::cuda(0).unwrap_err();
    assert!(matches!(error, Error::Device(DeviceError::NoDriver { .. })), "{error:?}");
    assert!(error.to_string().contains("libcuda.so.1") && error.to_string().contains("install"), "{error}");
}

fn round_trip<T: Element + PartialEq + Debug>(values: Vec<T>) -> Outcome {
    let device = device()?;
    let n = values.len();
    let x = Tensor::from_vec((2, n / 2), values.clone())?;
    let there = x.to(&device)?;
    assert_eq!(there.device(), device);
    assert_eq!(there.to(&Device::cpu())?.to_vec(), values);
    let turned = there.transpose(0, 1)?;
    assert_eq!(turned.to(&Device::cpu())?.to_vec(), x.transpose(0, 1)?.to_vec());
    assert_eq!(x.transpose(0, 1)?.to(&device)?.to(&Device::cpu())?.to_vec(), x.transpose(0, 1)?.to_vec());
    let part = there.narrow(1, 1, n / 2 - 1)?.flip(1)?;
    assert_eq!(part.to(&Device::cpu())?.to_vec(), x.narrow(1, 1, n / 2 - 1)?.flip(1)?.to_vec());
    Ok(())
}

#[test]
fn tensors_go_to_a_device_and_back_in_every_type_and_view() -> Outcome {
    if !emulator::inside("tensors_go_to_a_device_and_back_in_every_type_and_view", &[]) {
        return Ok(());
    }
    round_trip((0..10).map(|i| i as f32 * 0.5).collect())?;
    round_trip((0..10).map(|i| f64::from(i) * 0.5).collect())?;
    round_trip((0..10).map(|i| f16::from_f32(i as f32)).collect())?;
    round_trip((0..10).map(|i| bf16::from_f32(i as f32)).collect())?;
    round_trip((0..10i8).collect())?;
    round_trip((0..10u8).collect())?;
    round_trip((0..10i16).collect())?;
    round_trip((0..10u16).collect())?;
    round_trip((0..10i32).collect())?;
    round_trip((0..10u32).collect())?;
    round_trip((0..10i64).collect())?;
    round_trip((0..10).map(|i| i % 3 == 0).collect::<Vec<bool>>())?;
    let empty = Tensor::<f32>::zeros((3, 0)).to(&device()?)?.to(&Device::cpu())?;
    assert_eq!(empty.shape(), [3, 0]);
    let zeros = Tensor::<f32>::zeros_on((3, 5), &device()?)?.to(&Device::cpu())?;
    assert_eq!(zeros.to_vec(), [0.0; 15]);
    Ok(())
}

#[test]
fn the_host_cannot_touch_a_devices_elements() -> Outcome {
    if !emulator::inside("the_host_cannot_touch_a_devices_elements", &[]) {
        return Ok(());
    }
    let mut x = Tensor::<f32>::arange(6).reshape((2, 3))?.to(&device()?)?;
    let refused = |result: Result<(), TensorError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, TensorError::OnDevice { .. }), "{error:?}");
        assert!(error.to_string().contains(".to(&Device::cpu())"), "{error}");
    };
    refused(x.read().map(drop));
    refused(x.write().map(drop));
    refused(x.iter().map(drop));
    refused(x.try_to_vec().map(drop));
    refused(x.get((0, 0)).map(drop));
    refused(x.set((0, 0), 1.0));
    refused(x.fill(1.0));
    refused(x.copy().map(drop));
    refused(x.cast::<f64>().map(drop));
    refused(Tensor::zeros((2, 3)).copy_from(&x));
    println!("{x:?}");
    let mut out = Tensor::<f32>::zeros((2, 3));
    assert!(softmax::reference(&x, &mut out).is_err());
    let error = softmax(&x, &mut out).unwrap_err();
    assert!(matches!(error, Error::Launch(LaunchError::Devices { .. })), "{error}");
    Ok(())
}

fn near<T: Float>(got: &Tensor<T>, wanted: &Tensor<T>, most: f32) -> Outcome {
    let (got, wanted) = (got.to(&Device::cpu())?.cast::<f32>()?, wanted.cast::<f32>()?);
    for (got, wanted) in got.iter()?.zip(wanted.iter()?) {
        assert!((got - wanted).abs() <= most, "{got} for {wanted}");
    }
    Ok(())
}

fn kernels<T: Float>(most: f32) -> Outcome {
    let device = device()?;
    let wave = |shape: (usize, usize), step: f32| {
        let tensor = Tensor::<f32>::from_fn(shape, |at| ((at[0] * shape.1 + at[1]) as f32 * step).sin());
        tensor.cast::<T>()
    };
    for (m, n, k) in [(1, 1, 1), (3, 17, 40), (33, 70, 64)] {
        let (x, w) = (wave((m, k), 0.7)?, wave((n, k), 1.3)?);
        let (mut here, mut there) = (Tensor::zeros((m, n)), Tensor::zeros_on((m, n), &device)?);
        linear(&x, &w, &mut here)?;
        linear(&x.to(&device)?, &w.to(&device)?, &mut there)?;
        near(&there, &here, most * 8.0)?;
        let (mut here_too, mut there_too) = (Tensor::zeros((m, n)), Tensor::zeros_on((m, n), &device)?);
        softmax(&here, &mut here_too)?;
        softmax(&there, &mut there_too)?;
        near(&there_too, &here_too, most)?;
        // In place, and the function from the cache.
        let view = there.clone();
        softmax(&view, &mut there)?;
        near(&there, &here_too, most)?;
    }
    Ok(())
}

#[test]
fn kernels_give_what_they_give_on_the_cpu() -> Outcome {
    for seed in ["0", "1"] {
        if emulator::inside("kernels_give_what_they_give_on_the_cpu", &[("TW_EMULATOR_SEED", seed)]) {
            kernels::<f32>(1e-5)?;
            kernels::<bf16>(2e-2)?;
            return kernels::<f16>(4e-3);
        }
    }
    Ok(())
}

#[test]
fn scalars_and_defaults_arrive() -> Outcome {
    if !emulator::inside("scalars_and_defaults_arrive", &[]) {
        return Ok(());
    }
    let x = Tensor::from_vec(5, vec![1i16, 2, 3, 4, 5])?.to(&device()?)?;
    let mut out = Tensor::zeros_on(5, &device()?)?;
    scaled(&x, &mut out, 2, true)?;
    assert_eq!(out.to(&Device::cpu())?.to_vec(), [3, 4, 5, 0, 0]);
    let mut out = Tensor::zeros_on(5, &device()?)?;
    scaled(&x, &mut out, 2, false)?;
    assert_eq!(out.to(&Device::cpu())?.to_vec(), [0; 5]);
    Ok(())
}

/// `x` is read by all threads of a row and overwritten by one.
#[kernel]
fn scale_and_count<M, N>(x: &mut Tensor<f32, M>, y: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in tile(M) {
        let scale = x[m];
        x[m] = scale + 1.0;
        out[(m, ..)] = y[(m, ..)] * scale;
    }
}

#[test]
fn what_is_overwritten_in_place_was_read_by_all_threads() -> Outcome {
    for seed in ["0", "1", "2", "3", "4", "5"] {
        let name = "what_is_overwritten_in_place_was_read_by_all_threads";
        if !emulator::inside(name, &[("TW_EMULATOR_SEED", seed)]) {
            continue;
        }
        let mut x = Tensor::<f32>::arange(9).to(&device()?)?;
        let y = Tensor::<f32>::full((9, 300), 2.0).to(&device()?)?;
        let mut out = Tensor::zeros_on((9, 300), &device()?)?;
        scale_and_count(&mut x, &y, &mut out)?;
        let out = out.to(&Device::cpu())?.to_vec();
        assert!(out.iter().enumerate().all(|(at, value)| *value == 2.0 * (at / 300) as f32), "{out:?}");
        assert_eq!(x.to(&Device::cpu())?.to_vec(), (1..10).map(|i| i as f32).collect::<Vec<_>>());
        return Ok(());
    }
    Ok(())
}

#[kernel]
fn part_of_product<M, N, K>(
    x: &Tensor<f16, (M, K)>,
    w: &Tensor<f16, (N, K)>,
    out: &mut Tensor<f32, (M, N)>,
    limit: usize,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K, 0..limit) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc;
    }
}

#[kernel]
fn part_of_copy<M, K>(x: &Tensor<f16, (M, K)>, out: &mut Tensor<f16, (M, K)>, limit: usize) {
    for m in tile(M) {
        for k in tile(K, 0..limit) {
            out[(m, k)] = x[(m, k)];
        }
    }
}

#[test]
fn loops_over_a_part_stop_at_its_end_whatever_the_vectors() -> Outcome {
    if !emulator::inside("loops_over_a_part_stop_at_its_end_whatever_the_vectors", &[]) {
        return Ok(());
    }
    let device = device()?;
    let full = |rows, columns| Tensor::full((rows, columns), f16::from_f32(1.0)).to(&device);
    let (x, w) = (full(20, 64)?, full(24, 64)?);
    for limit in [0, 1, 5, 8, 13, 33, 64] {
        let mut out = Tensor::zeros_on((20, 24), &device)?;
        part_of_product(&x, &w, &mut out, limit)?;
        assert_eq!(out.to(&Device::cpu())?.to_vec(), vec![limit as f32; 20 * 24]);
        let mut copy = Tensor::zeros_on((20, 64), &device)?;
        part_of_copy(&x, &mut copy, limit)?;
        let copy = copy.to(&Device::cpu())?.cast::<f32>()?;
        let expected = |at: usize| if at % 64 < limit { 1.0 } else { 0.0 };
        assert!(copy.to_vec().into_iter().enumerate().all(|(at, value)| value == expected(at)), "{limit}");
    }
    Ok(())
}

#[test]
fn device_functions_of_several_modules_are_called() -> Outcome {
    if !emulator::inside("device_functions_of_several_modules_are_called", &[]) {
        return Ok(());
    }
    let x = Tensor::<f32>::arange(40);
    for limit in [0, 5] {
        let (mut here, mut there) = (Tensor::zeros(40), Tensor::zeros_on(40, &device()?)?);
        halves::<other::half_of>(&x, &mut here, limit)?;
        halves::<other::half_of>(&x.to(&device()?)?, &mut there, limit)?;
        assert_eq!(there.to(&Device::cpu())?.to_vec(), here.to_vec());
        halves::<half_of>(&x, &mut here, limit)?;
        halves::<half_of>(&x.to(&device()?)?, &mut there, limit)?;
        assert_eq!(there.to(&Device::cpu())?.to_vec(), here.to_vec());
    }
    Ok(())
}

#[test]
fn an_index_outside_is_reported_when_the_host_waits_and_only_once() -> Outcome {
    if !emulator::inside("an_index_outside_is_reported_when_the_host_waits_and_only_once", &[]) {
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
    if !emulator::inside("devices_that_are_not_there_and_memory_that_is_full_are_errors", &memory) {
        return Ok(());
    }
    assert_eq!(
        Device::cuda(7).unwrap_err(),
        Error::Device(DeviceError::NoDevice { platform: Platform::Cuda, ordinal: 7, count: 1 })
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
fn compiled_kernels_are_kept_on_disk_and_damaged_files_compiled_again() -> Outcome {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    let name = "compiled_kernels_are_kept_on_disk_and_damaged_files_compiled_again";
    let path = folder.to_string_lossy();
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
    emulator::inside(name, &[("TILEWRIGHT_CACHE", &path)]);
    let kept = files();
    if emulator::folder().is_none() {
        return Ok(());
    }
    assert!(!kept.is_empty());
    for (at, (path, bytes)) in kept.iter().enumerate() {
        let damaged = if at % 2 == 0 { bytes[..bytes.len() / 2].to_vec() } else { b"rubbish".to_vec() };
        std::fs::write(path, damaged).unwrap();
    }
    emulator::inside(name, &[("TILEWRIGHT_CACHE", &path)]);
    let lengths = |files: &[(std::path::PathBuf, Vec<u8>)]| -> Vec<usize> {
        files.iter().map(|(_, b)| b.len()).collect()
    };
    assert_eq!(lengths(&files()), lengths(&kept), "all were written again");
    Ok(())
}
