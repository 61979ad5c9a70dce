//! Random kernels for about a second: every instruction set of this machine equals the reference, and so does
//! their GPU text under emulation, or on the GPU of `TILEWRIGHT_DEVICE`.

#[path = "emulator/mod.rs"]
mod emulator;

use std::time::{Duration, Instant};
use tilewright::prelude::*;
use tilewright::simd::InstructionSet;

tilewright_random::random_kernels!(24);

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
    fn unit(&mut self) -> f32 {
        self.below(4096) as f32 / 1024.0 - 2.0
    }
    fn length(&mut self) -> usize {
        const LENGTHS: [usize; 14] = [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100];
        LENGTHS[self.below(14) as usize]
    }
}

/// A matrix of random reals, transposed in memory half of the time.
fn matrix(random: &mut Random, rows: usize, columns: usize) -> Tensor<f32> {
    if random.below(2) == 0 {
        Tensor::from_fn((rows, columns), |_| random.unit())
    } else {
        Tensor::from_fn((columns, rows), |_| random.unit())
            .transpose(0, 1)
            .expect("a matrix has two dimensions")
    }
}

fn close(a: &Tensor<f32>, b: &Tensor<f32>) -> bool {
    let near = |(a, b): (f32, f32)| (a - b).abs() <= 2e-4 * (1.0 + b.abs()) || (a.is_nan() && b.is_nan());
    a.to_vec().into_iter().zip(b.to_vec()).all(near)
}

/// Inputs of a kernel.
struct Inputs {
    m: usize,
    n: usize,
    k: usize,
    x: Tensor<f32>,
    y: Tensor<bf16>,
    v: Tensor<f32>,
    u: Tensor<f32>,
    w: Tensor<f32>,
    i: Tensor<i32>,
}

impl Inputs {
    fn new(random: &mut Random) -> Inputs {
        let (m, n, k) = (random.length(), random.length(), random.length());
        let x = matrix(random, m, n);
        let y = Tensor::<bf16>::from_fn((m, n), |_| bf16::from_f32(random.unit()));
        let v = Tensor::<f32>::from_fn(n, |_| random.unit());
        let (u, w) = (matrix(random, m, k), matrix(random, k, n));
        let i = Tensor::<i32>::from_fn((m, n), |_| random.below(40) as i32 - 20);
        Inputs { m, n, k, x, y, v, u, w, i }
    }

    fn fresh(&self, device: &Device) -> Result<(Tensor<f32>, Tensor<f32>), Error> {
        Ok((Tensor::zeros_on((self.m, self.n), device)?, Tensor::zeros_on(self.m, device)?))
    }

    fn run(
        &self,
        kernel: Run,
        config: &Config,
        device: &Device,
    ) -> Result<(Tensor<f32>, Tensor<f32>), Error> {
        let (mut out, mut row) = self.fresh(device)?;
        let Inputs { x, y, v, u, w, i, .. } = self;
        let (x, y, v) = (x.to(device)?, y.to(device)?, v.to(device)?);
        let (u, w, i) = (u.to(device)?, w.to(device)?, i.to(device)?);
        kernel(config, &x, &y, &v, &u, &w, &i, &mut out, &mut row)?;
        Ok((out.to(&Device::cpu())?, row.to(&Device::cpu())?))
    }
}

/// Each kernel once with inputs of its own.
fn compare_on(device: &Device, random: &mut Random) {
    for (name, run, reference) in KERNELS {
        let inputs = Inputs::new(random);
        let (m, n, k) = (inputs.m, inputs.n, inputs.k);
        let wanted = inputs.run(*reference, &Config::new(), &Device::cpu()).expect("the reference runs");
        let got = inputs.run(*run, &Config::new(), device).expect("the kernel runs");
        let equal = close(&got.0, &wanted.0) && close(&got.1, &wanted.1);
        assert!(equal, "{name} on {device} with M={m} N={n} K={k}");
    }
}

#[test]
fn random_kernels_on_a_gpu_equal_the_reference() {
    if let Some(device) = emulator::real_device() {
        let mut random = Random(11);
        (0..4).for_each(|_| compare_on(&device, &mut random));
        return;
    }
    for seed in ["0", "3"] {
        if !emulator::inside("random_kernels_on_a_gpu_equal_the_reference", &[("TW_EMULATOR_SEED", seed)]) {
            continue;
        }
        for device in ["cuda", "rocm"] {
            compare_on(&device.parse().expect("the emulated GPU is there"), &mut Random(11));
        }
        return;
    }
}

#[test]
fn random_kernels_equal_the_reference() {
    let started = Instant::now();
    let mut random = Random(7);
    let mut ran = 0;
    while started.elapsed() < Duration::from_secs(1) || ran < KERNELS.len() {
        let (name, run, reference) = KERNELS[ran % KERNELS.len()];
        ran += 1;
        let inputs = Inputs::new(&mut random);
        let (m, n, k) = (inputs.m, inputs.n, inputs.k);
        let cpu = Device::cpu();
        let (out, row) = inputs.run(reference, &Config::new(), &cpu).expect("the reference runs");
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            // Outputs that go past the caches are written by other loops.
            for past in [false, true] {
                let config = Config::new().instruction_set(set).stream(past);
                let (got, got_row) = inputs.run(run, &config, &cpu).expect("the kernel runs");
                assert!(
                    close(&got, &out) && close(&got_row, &row),
                    "{name} with {config}, M={m} N={n} K={k}",
                );
            }
        }
    }
}
