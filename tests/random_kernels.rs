//! Random kernels for about a second: every instruction set of this machine equals the reference.

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

#[test]
fn random_kernels_equal_the_reference() {
    let started = Instant::now();
    let mut random = Random(7);
    let mut ran = 0;
    while started.elapsed() < Duration::from_secs(1) || ran < KERNELS.len() {
        let (name, run, reference) = KERNELS[ran % KERNELS.len()];
        ran += 1;
        let (m, n, k) = (random.length(), random.length(), random.length());
        let x = matrix(&mut random, m, n);
        let y = Tensor::<bf16>::from_fn((m, n), |_| bf16::from_f32(random.unit()));
        let v = Tensor::<f32>::from_fn(n, |_| random.unit());
        let (u, w) = (matrix(&mut random, m, k), matrix(&mut random, k, n));
        let i = Tensor::<i32>::from_fn((m, n), |_| random.below(40) as i32 - 20);
        let fresh = || (Tensor::<f32>::zeros((m, n)), Tensor::<f32>::zeros(m));
        let (mut out, mut row) = fresh();
        reference(&Config::new(), &x, &y, &v, &u, &w, &i, &mut out, &mut row).expect("the reference runs");
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let (mut got, mut got_row) = fresh();
            let config = Config::new().instruction_set(set);
            run(&config, &x, &y, &v, &u, &w, &i, &mut got, &mut got_row).expect("the kernel runs");
            assert!(
                close(&got, &out) && close(&got_row, &row),
                "{name} on {} with M={m} N={n} K={k}",
                set.name()
            );
        }
    }
}
