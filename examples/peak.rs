//! How near matrix products come to the processor's peak, on one thread, with the blocks of generated code.

use std::time::Instant;
use tilewright::simd::InstructionSet;
use tilewright::simd::dot::{Operand, Packed, Scratch, Strided, dot_f32};

/// Seconds that this thread has spent on a processor, where the system says so: others may be at work.
fn processor_seconds() -> Option<f64> {
    // The system brings its count up to date when it looks for another thread to run.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// The shortest time of several runs, in seconds.
fn shortest(runs: usize, mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let (start, before) = (Instant::now(), processor_seconds());
        run();
        let wall = start.elapsed().as_secs_f64();
        before.and_then(|before| Some(processor_seconds()? - before)).unwrap_or(wall)
    };
    (0..runs).map(time).fold(f64::INFINITY, f64::min)
}

/// Multiply-adds in registers, as many at a time as hide their latency.
#[cfg(target_arch = "x86_64")]
mod registers {
    use std::arch::x86_64::*;

    const TURNS: usize = 100_000;

    tilewright::simd::with_avx2! {
        fn avx2() -> f32 {
            let (x, y) = (_mm256_set1_ps(std::hint::black_box(0.5)), _mm256_set1_ps(1.0));
            let mut sums = [x; 12];
            for _ in 0..TURNS {
                for sum in &mut sums {
                    *sum = _mm256_fmadd_ps(*sum, x, y);
                }
            }
            let mut all = x;
            for sum in sums {
                all = _mm256_add_ps(all, sum);
            }
            _mm256_cvtss_f32(all)
        }
    }
    tilewright::simd::with_avx512! {
        fn avx512() -> f32 {
            let (x, y) = (_mm512_set1_ps(std::hint::black_box(0.5)), _mm512_set1_ps(1.0));
            let mut sums = [x; 24];
            for _ in 0..TURNS {
                for sum in &mut sums {
                    *sum = _mm512_fmadd_ps(*sum, x, y);
                }
            }
            let mut all = x;
            for sum in sums {
                all = _mm512_add_ps(all, sum);
            }
            _mm512_cvtss_f32(all)
        }
    }

    pub fn peak(isa: super::InstructionSet) -> Option<f64> {
        use super::InstructionSet::{Avx2, Avx512, Scalar};
        let (lanes, run): (_, unsafe fn() -> f32) = match isa {
            Scalar => return None,
            Avx2 => (12 * 8, avx2),
            Avx512 => (24 * 16, avx512),
        };
        let seconds = super::shortest(20, || {
            // SAFETY: `main` looks only at instruction sets that this processor has.
            std::hint::black_box(unsafe { run() });
        });
        Some((2 * lanes * TURNS) as f64 / seconds / 1e9)
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod registers {
    pub fn peak(_: super::InstructionSet) -> Option<f64> {
        None
    }
}

/// `size³` in blocks of 128 × 256 × 512; the right operand is `n × k`, packed in the measured time or read
/// in place.
fn product(isa: InstructionSet, size: usize, pack: bool, contiguous_k: bool, scratch: &mut Scratch) -> f64 {
    let x: Vec<f32> = (0..size * size).map(|i| (i % 13) as f32).collect();
    let mut tile = vec![0.0f32; 128 * 256];
    let a = Strided::new(x.as_ptr(), size as isize, 1);
    let b = if contiguous_k { a } else { Strided::new(x.as_ptr(), 1, size as isize) };
    let repetitions = (512 / size).max(1).pow(3);
    let mut once = || {
        // SAFETY: `size` by `size` elements; the instruction set is available.
        let packed = pack.then(|| unsafe { Packed::new(isa, b, &[], size, size, size) });
        for (i, j) in (0..size).step_by(128).flat_map(|i| (0..size).step_by(256).map(move |j| (i, j))) {
            let (m, n) = (128.min(size - i), 256.min(size - j));
            for p in (0..size).step_by(512) {
                let right =
                    packed.as_ref().map_or(Operand::Strided(b.at(j, p)), |packed| packed.tile(0, j, p));
                let k = 512.min(size - p);
                // SAFETY: these blocks lie inside the operands, the tile has room for 128 by 256.
                unsafe { dot_f32(isa, m, n, k, a.at(i, p), right, tile.as_mut_ptr(), 256, p > 0, scratch) };
            }
        }
    };
    let seconds = shortest(9, || (0..repetitions).for_each(|_| once()));
    2.0 * (size as f64).powi(3) * repetitions as f64 / seconds / 1e9
}

fn main() {
    let scratch = &mut Scratch::default();
    // One thread packs, too.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.expect("a thread starts").install(|| {
        for isa in InstructionSet::ALL.into_iter().filter(|isa| isa.is_available()) {
            let peak = registers::peak(isa);
            let known = peak.map_or("not measured".into(), |peak| format!("{peak:.0} GFLOP/s"));
            println!("{}: peak {known}", isa.name());
            let sizes: &[usize] = if isa == InstructionSet::Scalar { &[256] } else { &[64, 256, 512, 1024] };
            for size in sizes {
                for (what, pack, contiguous_k) in
                    [("n × k packed", true, true), ("n × k", false, true), ("k × n", false, false)]
                {
                    let rate = product(isa, *size, pack, contiguous_k, scratch);
                    let part = peak.map_or(String::new(), |peak| format!("{:5.1} %", 100.0 * rate / peak));
                    println!("  {size:5}³ {what:13} {rate:7.1} GFLOP/s {part}");
                }
            }
        }
    });
}
