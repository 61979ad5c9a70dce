//! Tensors and kernels on an AMD GPU, through ROCm's interface: on machines without one, over the emulated
//! runtime and compiler of tests/emulator.

#[path = "emulator/mod.rs"]
mod emulator;
#[path = "gpu/mod.rs"]
mod gpu;

use tilewright::prelude::*;
use tilewright::{DeviceError, LaunchError, Platform};

const PLATFORM: Platform = Platform::Rocm;

fn nth(ordinal: usize) -> Result<Device, Error> {
    Device::rocm(ordinal)
}

#[test]
fn without_rocm_the_error_names_its_library() {
    if std::path::Path::new("/dev/kfd").exists() || std::env::var_os("TW_EMULATOR_INSIDE").is_some() {
        println!("skipped: there is a driver here");
        return;
    }
    let error = Device::rocm(0).unwrap_err();
    assert!(matches!(error, Error::Device(DeviceError::NoDriver { .. })), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("libamdhip64.so.7") && text.contains("install AMD's ROCm"), "{error}");
    assert!(!text.contains("CUDA") && !text.contains("NVIDIA"), "{error}");
}

#[kernel]
fn normalized<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        out[(m, ..)] = row / row.sum(N);
    }
}

#[kernel]
fn product<T: Float, M, N, K>(x: &Tensor<T, (M, K)>, w: &Tensor<T, (N, K)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc;
    }
}

/// On the matrix cores, where there are some: whole numbers, so that it is exact.
fn check_product<T: Float>(device: &Device) -> Result<(), Error> {
    let whole = |shape: (usize, usize), by: usize| {
        Tensor::<f32>::from_fn(shape, |at| ((at[0] * 5 + at[1] * by) % 11) as f32 - 5.0).cast::<T>()
    };
    for (m, n, k) in [(16, 16, 16), (70, 33, 40), (64, 128, 64)] {
        let (x, w) = (whole((m, k), 3)?, whole((n, k), 7)?);
        let (mut here, mut there) = (Tensor::zeros((m, n)), Tensor::zeros_on((m, n), device)?);
        product(&x, &w, &mut here)?;
        product(&x.to(device)?, &w.to(device)?, &mut there)?;
        assert_eq!(there.to(&Device::cpu())?.to_vec(), here.to_vec(), "{m} by {n} by {k}");
    }
    Ok(())
}

fn check(device: &Device) -> Result<(), Error> {
    let x = Tensor::<f32>::from_fn((5, 300), |at| (at[0] + at[1] + 1) as f32);
    let (mut here, mut there) = (Tensor::zeros((5, 300)), Tensor::zeros_on((5, 300), device)?);
    normalized(&x, &mut here)?;
    normalized(&x.to(device)?, &mut there)?;
    let there = there.to(&Device::cpu())?;
    assert!(here.iter()?.zip(there.iter()?).all(|(a, b)| (a - b).abs() <= a * 1e-5));
    Ok(())
}

#[test]
fn architectures_have_warps_and_matrix_cores_of_their_own() -> Result<(), Error> {
    for architecture in ["gfx906", "gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1201"] {
        let variables = [("TW_EMULATOR_AMD", architecture), ("TW_EMULATOR_SEED", "1")];
        if emulator::inside("architectures_have_warps_and_matrix_cores_of_their_own", &variables) {
            let device = Device::rocm(0)?;
            let name = std::env::var("TW_EMULATOR_AMD").unwrap_or_default();
            assert_eq!(device.to_string(), format!("rocm:0 (Emulated GPU {name}, {name})"));
            check_product::<f16>(&device)?;
            check_product::<bf16>(&device)?;
            return check(&device);
        }
    }
    Ok(())
}

#[test]
fn an_architecture_that_kernels_do_not_know_is_an_error() {
    let name = "an_architecture_that_kernels_do_not_know_is_an_error";
    if emulator::inside(name, &[("TW_EMULATOR_AMD", "gfx803")]) {
        let error = Device::rocm(0).unwrap_err();
        assert_eq!(error, DeviceError::Architecture { name: "gfx803".into() }.into());
    }
}

#[test]
fn devices_of_both_platforms_live_side_by_side() -> Result<(), Error> {
    if !emulator::inside("devices_of_both_platforms_live_side_by_side", &[]) {
        return Ok(());
    }
    let (cuda, rocm) = (Device::cuda(0)?, Device::rocm(0)?);
    assert_ne!(cuda, rocm);
    check(&cuda)?;
    check(&rocm)?;
    check(&cuda)?;
    let x = Tensor::<f32>::arange(6).reshape((2, 3))?.to(&cuda)?;
    let mut out = Tensor::zeros_on((2, 3), &rocm)?;
    let error = normalized(&x, &mut out).unwrap_err();
    assert!(matches!(error, Error::Launch(LaunchError::Devices { .. })), "{error}");
    assert!(error.to_string().contains("cuda:0") && error.to_string().contains("rocm:0"), "{error}");
    assert_eq!(x.to(&rocm)?.to(&cuda)?.to(&Device::cpu())?.to_vec(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    Ok(())
}

#[kernel]
fn functions<M>(x: &Tensor<f64, M>, a: &mut Tensor<f64, M>, b: &mut Tensor<f64, M>, c: &mut Tensor<f64, M>) {
    for m in tile(M) {
        let t = x[m];
        a[m] = sin(t) + cos(t * 3.0);
        b[m] = gelu(t) + tanh(t) + erf(t * 0.25);
        c[m] = exp2(t * 50.0) * pow(abs(t) + 0.5, t);
    }
}

/// On AMD's GPUs these are not the vendor's functions but ours.
#[test]
fn functions_are_near_those_of_the_cpu_from_tiny_to_huge_arguments() -> Result<(), Error> {
    let name = "functions_are_near_those_of_the_cpu_from_tiny_to_huge_arguments";
    if !emulator::inside(name, &[]) {
        return Ok(());
    }
    let device = Device::rocm(0)?;
    let mut values: Vec<f64> = (0..400).map(|i| f64::from(i - 200) * 0.0371).collect();
    values.extend([1e-300, 1e-9, 0.2, 3e5, 1e9, -2.5e14, 6e22, 1e30, -1e300, f64::MAX]);
    let x = Tensor::from_vec(values.len(), values.clone())?;
    let fresh = |device: &Device| Tensor::<f64>::zeros_on(values.len(), device);
    let cpu = Device::cpu();
    let mut here = [fresh(&cpu)?, fresh(&cpu)?, fresh(&cpu)?];
    let mut there = [fresh(&device)?, fresh(&device)?, fresh(&device)?];
    let [a, b, c] = &mut here;
    functions::reference(&x, a, b, c)?;
    let [a, b, c] = &mut there;
    functions(&x.to(&device)?, a, b, c)?;
    // Sums cancel.
    for ((here, there), least) in here.iter().zip(&there).zip([0.1, 0.1, 0.0]) {
        for ((at, wanted), got) in values.iter().zip(here.to_vec()).zip(there.to(&cpu)?.to_vec()) {
            let near = (got - wanted).abs() <= 1e-14 * wanted.abs().max(least);
            assert!(
                got == wanted || near || (got.is_nan() && wanted.is_nan()),
                "at {at}: {got}, not {wanted}"
            );
        }
    }
    Ok(())
}
