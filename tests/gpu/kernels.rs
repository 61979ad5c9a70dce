//! Kernels on a GPU give what they give on the CPU.

use tilewright::prelude::*;

use super::{Outcome, device, inside, softmax};

#[kernel]
pub fn linear<T: Float, M, N, K>(x: &Tensor<T, (M, K)>, w: &Tensor<T, (N, K)>, out: &mut Tensor<T, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc.cast();
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

pub fn near<T: Float>(got: &Tensor<T>, wanted: &Tensor<T>, most: f32) -> Outcome {
    let (got, wanted) = (got.to(&Device::cpu())?.cast::<f32>()?, wanted.cast::<f32>()?);
    for (got, wanted) in got.iter()?.zip(wanted.iter()?) {
        assert!((got - wanted).abs() <= most, "{got} for {wanted}");
    }
    Ok(())
}

pub fn kernels<T: Float>(most: f32) -> Outcome {
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
        if inside(module_path!(), "kernels_give_what_they_give_on_the_cpu", &[("TW_EMULATOR_SEED", seed)]) {
            kernels::<f32>(1e-5)?;
            kernels::<bf16>(2e-2)?;
            return kernels::<f16>(4e-3);
        }
    }
    Ok(())
}

#[test]
fn threads_that_stay_compute_all_programs() -> Outcome {
    let variables = [("TW_EMULATOR_ARCH", "90"), ("TW_EMULATOR_MULTIPROCESSORS", "4")];
    if !inside(module_path!(), "threads_that_stay_compute_all_programs", &variables) {
        return Ok(());
    }
    let device = device()?;
    let wave = |rows: usize, step: f32| {
        Tensor::<f32>::from_fn((rows, 200), |at| ((at[0] * 200 + at[1]) as f32 * step).sin()).cast::<bf16>()
    };
    let (x, w) = (wave(300, 0.7)?, wave(520, 1.3)?);
    let (mut here, mut there) = (Tensor::zeros((300, 520)), Tensor::zeros_on((300, 520), &device)?);
    linear(&x, &w, &mut here)?;
    // AMD's shared memory has no room for such blocks.
    let blocks = if super::PLATFORM == tilewright::Platform::Cuda { "m=128,n=256,k=64" } else { "" };
    linear::with(&blocks.parse()?, &x.to(&device)?, &w.to(&device)?, &mut there)?;
    near(&there, &here, 0.1)
}

/// To 10 bits of mantissa, to nearest.
fn rounded(x: f32) -> f32 {
    f32::from_bits((x.to_bits() + 0x1000) & !0x1fff)
}

#[test]
fn products_of_f32_round_their_operands_only_where_asked() -> Outcome {
    for arch in ["80", "90"] {
        let name = "products_of_f32_round_their_operands_only_where_asked";
        if inside(module_path!(), name, &[("TW_EMULATOR_ARCH", arch)]) {
            return rounds_where_asked();
        }
    }
    Ok(())
}

fn rounds_where_asked() -> Outcome {
    let device = device()?;
    for (m, n, k) in [(33, 70, 64), (128, 128, 40)] {
        let wave = |rows: usize, step: f32, round: bool| {
            let value = move |at: usize| (at as f32 * step).sin();
            Tensor::<f32>::from_fn((rows, k), move |at| {
                let value = value(at[0] * k + at[1]);
                if round { rounded(value) } else { value }
            })
        };
        let (x, w) = (wave(m, 0.7, false), wave(n, 1.3, false));
        let [mut exact, mut wanted] = [(); 2].map(|()| Tensor::zeros((m, n)));
        linear(&x, &w, &mut exact)?;
        linear(&wave(m, 0.7, true), &wave(n, 1.3, true), &mut wanted)?;
        let [mut plain, mut out] = [Tensor::zeros_on((m, n), &device)?, Tensor::zeros_on((m, n), &device)?];
        let (x, w) = (x.to(&device)?, w.to(&device)?);
        linear::with(&Config::new().tf32(), &x, &w, &mut out)?;
        linear::with(&"tf32=0".parse()?, &x, &w, &mut plain)?;
        near(&plain, &exact, 1e-5)?;
        // AMD's matrix cores are not asked. Real ones keep fewer bits of a sum than f32 has.
        near(&out, if super::PLATFORM == tilewright::Platform::Cuda { &wanted } else { &exact }, 4e-5)?;
        let apart = wanted.iter()?.zip(exact.iter()?).any(|(a, b)| (a - b).abs() > 1e-4);
        assert!(apart, "rounding would not show");
    }
    Ok(())
}

#[test]
fn scalars_and_defaults_arrive() -> Outcome {
    if !inside(module_path!(), "scalars_and_defaults_arrive", &[]) {
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
        if !inside(module_path!(), name, &[("TW_EMULATOR_SEED", seed)]) {
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
    if !inside(module_path!(), "loops_over_a_part_stop_at_its_end_whatever_the_vectors", &[]) {
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
    if !inside(module_path!(), "device_functions_of_several_modules_are_called", &[]) {
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
