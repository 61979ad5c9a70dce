//! Kernels compiled ahead of time: launched where there is no compiler; damaged files are errors.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[path = "emulator/mod.rs"]
mod emulator;

use std::path::{Path, PathBuf};

use tilewright::prelude::*;
use tilewright::{Architecture, Bundle, DeviceError};

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
    assert!(Bundle::read(&fresh)? == bundle, "what is read is not what was written");
    std::fs::rename(&fresh, file()).unwrap();
    Ok(())
}

/// In a process whose compiler does not work: launches from it.
#[test]
fn a_bundles_kernels_need_no_compiler() -> Outcome {
    if std::env::var_os("TW_EMULATOR_INSIDE").is_none() {
        a_bundle_is_written()?;
        // Not asked in there, where there is no compiler to build the emulator with.
        if emulator::folder().is_none() {
            return Ok(());
        }
    }
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

const SHAPES: [(usize, usize, usize); 2] = [(3, 17, 40), (33, 72, 64)];

/// The same launches for a recording and for a device, with what they give.
fn calls<T: Float>(device: &Device) -> Result<Vec<Tensor<T>>, Error> {
    let wave = |shape: (usize, usize), step: f32| -> Result<Tensor<T>, Error> {
        let tensor = Tensor::<f32>::from_fn(shape, |at| ((at[0] * shape.1 + at[1]) as f32 * step).sin());
        tensor.cast::<T>()?.to(device)
    };
    let mut outputs = Vec::new();
    for (m, n, k) in SHAPES {
        let mut products = Tensor::zeros_on((m, n), device)?;
        linear(&wave((m, k), 0.7)?, &wave((n, k), 1.3)?, &mut products)?;
        let mut rows = Tensor::zeros_on((m, n), device)?;
        softmax(&products, &mut rows)?;
        outputs.extend([products, rows]);
    }
    Ok(outputs)
}

fn recorded() -> Outcome {
    calls::<f32>(&Device::cpu())?;
    calls::<f16>(&Device::cpu()).map(drop)
}

fn same<T: Float>(device: &Device, most: f32) -> Outcome {
    for (there, here) in calls::<T>(device)?.iter().zip(calls::<T>(&Device::cpu())?) {
        let (there, here) = (there.to(&Device::cpu())?.cast::<f32>()?, here.cast::<f32>()?);
        for (got, wanted) in there.iter()?.zip(here.iter()?) {
            assert!((got - wanted).abs() <= most, "{got} for {wanted}");
        }
    }
    Ok(())
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bundle-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}

/// In a process with the compilers, writes a bundle; in one that has only the drivers, runs it.
fn made_here_and_run_there(name: &str, device: &str, architectures: &str) -> Outcome {
    if let Ok(path) = std::env::var("TW_BUNDLE_TO") {
        let architectures: Result<Vec<Architecture>, _> = architectures.split(',').map(str::parse).collect();
        let bundle = Bundle::compile(&architectures?, recorded)?;
        // A launch more than once is there once: two shapes, two kernels, two types, for each architecture.
        assert_eq!(bundle.iter().count(), 8 * architectures_in(&bundle).len(), "{bundle:?}");
        return bundle.write(path);
    }
    if let Ok(path) = std::env::var("TW_BUNDLE_FROM") {
        let (device, bundle): (Device, _) = (device.parse()?, Bundle::read(path)?);
        let error = same::<f32>(&device, 0.0).unwrap_err();
        assert!(matches!(error, Error::Device(_)), "there is a compiler after all: {error}");
        assert_eq!(device.preload(&bundle), 8);
        same::<f32>(&device, 4e-5)?;
        same::<f16>(&device, 3e-2)?;
        // Of another type, thus not in the bundle.
        let error = same::<bf16>(&device, 0.0).unwrap_err();
        assert!(matches!(error, Error::Device(_)), "{error}");
        return Ok(());
    }
    let Some(folder) = emulator::folder() else { return Ok(()) };
    let bare = scratch(name);
    for library in ["libcuda.so.1", "libamdhip64.so.7"] {
        std::fs::copy(folder.join(library), bare.join(library)).expect("the emulator's drivers are there");
    }
    let (file, cache) = (bare.join("kernels.twb"), bare.join("cache"));
    let (file, cache) = (file.to_string_lossy(), cache.to_string_lossy());
    emulator::inside(name, &[("TW_BUNDLE_TO", &*file)]);
    emulator::inside(
        name,
        &[
            ("TW_BUNDLE_FROM", &*file),
            ("LD_LIBRARY_PATH", &*bare.to_string_lossy()),
            ("TILEWRIGHT_CACHE", &*cache),
        ],
    );
    Ok(())
}

fn architectures_in(bundle: &Bundle) -> Vec<&str> {
    let mut names: Vec<&str> = bundle.iter().map(|(architecture, ..)| architecture).collect();
    names.dedup();
    names
}

#[test]
fn a_cuda_bundle_runs_where_there_is_no_compiler() -> Outcome {
    made_here_and_run_there("a_cuda_bundle_runs_where_there_is_no_compiler", "cuda:0", "sm_80,gfx942")
}

#[test]
fn a_rocm_bundle_runs_where_there_is_no_compiler() -> Outcome {
    made_here_and_run_there("a_rocm_bundle_runs_where_there_is_no_compiler", "rocm:0", "gfx942,gfx1100")
}

#[test]
fn entries_for_other_architectures_are_ignored() -> Outcome {
    if !emulator::inside("entries_for_other_architectures_are_ignored", &[]) {
        return Ok(());
    }
    let both = bundle()?;
    let device = Device::cuda(0)?;
    assert_eq!((device.preload(&both), Device::cpu().preload(&both)), (1, 0));
    // An architecture that no version of this program knows: the file's other kernels are of use all the same.
    let mut bytes = both.to_bytes();
    let at = bytes.windows(6).position(|name| name == b"sm_90a").expect("it is named");
    bytes[at..at + 6].copy_from_slice(b"zz_99z");
    let end = bytes.len() - 16;
    let sum = bytes[..end].iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |sum, byte| {
        (sum ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    let strange = Bundle::from_bytes(&bytes)?;
    assert_eq!(architectures_in(&strange), ["sm_80", "zz_99z"]);
    assert_eq!(device.preload(&strange), 1);
    Ok(())
}

#[test]
fn a_damaged_file_is_named() {
    let path = scratch("damaged").join("half.twb");
    let bytes = Bundle::default().to_bytes();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let text = Bundle::read(&path).unwrap_err().to_string();
    assert!(text.contains("half.twb") && text.contains("Bundle::compile"), "{text}");
}
