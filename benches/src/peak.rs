//! How many multiply-adds cores can do: independent chains in registers, nothing else.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// What is multiplied and added.
#[derive(Clone, Copy)]
pub enum Multiply {
    /// Fused, in f32.
    F32,
    /// Bytes, four products added to an i32, where the processor has that; else as f32.
    I8,
}

/// GFLOP/s (two a multiply-add) of all threads together, over about ten milliseconds.
pub fn gflops(what: Multiply, n_threads: usize) -> f64 {
    let rounds = 1_000_000_u64;
    let start = Barrier::new(n_threads);
    let one_thread = || {
        start.wait();
        let begin = Instant::now();
        let flops = run(what, rounds);
        flops / begin.elapsed().as_secs_f64() / 1e9
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..n_threads).map(|_| scope.spawn(one_thread)).collect();
        workers.into_iter().map(|worker| worker.join().expect("the loops do not panic")).sum()
    })
}

#[cfg(target_arch = "x86_64")]
fn run(what: Multiply, rounds: u64) -> f64 {
    if matches!(what, Multiply::I8) && is_x86_feature_detected!("avx512vnni") {
        // SAFETY: the instruction set is there.
        unsafe { quads(rounds) };
        (rounds * CHAINS as u64 * 64 * 2) as f64
    } else if is_x86_feature_detected!("avx512f") {
        // SAFETY: the instruction set is there.
        unsafe { wide(rounds) };
        (rounds * CHAINS as u64 * 16 * 2) as f64
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the instruction sets are there.
        unsafe { narrow(rounds) };
        (rounds * CHAINS as u64 * 8 * 2) as f64
    } else {
        scalar(rounds)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn run(_: Multiply, rounds: u64) -> f64 {
    scalar(rounds)
}

/// Enough to hide the latency of a fused multiply-add on two ports (4 cycles × 2), and few enough
/// for sixteen registers.
const CHAINS: usize = 12;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wide(rounds: u64) {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_set1_ps};
    let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    let mut chains = [_mm512_set1_ps(1.0); CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = _mm512_fmadd_ps(*chain, a, b);
        }
    }
    black_box(chains);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn quads(rounds: u64) {
    use std::arch::x86_64::{_mm512_dpbusd_epi32, _mm512_set1_epi32};
    let (a, b) = (_mm512_set1_epi32(black_box(0x0101_0101)), _mm512_set1_epi32(black_box(1)));
    let mut chains = [_mm512_set1_epi32(1); CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = _mm512_dpbusd_epi32(*chain, a, b);
        }
    }
    black_box(chains);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn narrow(rounds: u64) {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};
    let (a, b) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
    let mut chains = [_mm256_set1_ps(1.0); CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = _mm256_fmadd_ps(*chain, a, b);
        }
    }
    black_box(chains);
}

fn scalar(rounds: u64) -> f64 {
    let (a, b) = (black_box(0.999_f32), black_box(0.001_f32));
    let mut chains = [1.0_f32; CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = *chain * a + b;
        }
    }
    black_box(chains);
    (rounds * CHAINS as u64 * 2) as f64
}
