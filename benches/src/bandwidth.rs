//! How fast memory moves: plain loops over arrays, on any number of threads.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// What a loop does with its arrays.
#[derive(Clone, Copy)]
pub enum Traffic {
    /// Sums one.
    Read,
    /// Fills one.
    Write,
    /// `a = b`
    Copy,
    /// `a = b + 3 c`
    Triad,
}

impl Traffic {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "read" => Traffic::Read,
            "write" => Traffic::Write,
            "copy" => Traffic::Copy,
            "triad" => Traffic::Triad,
            _ => return None,
        })
    }

    fn n_arrays(self) -> usize {
        match self {
            Traffic::Read | Traffic::Write => 1,
            Traffic::Copy => 2,
            Traffic::Triad => 3,
        }
    }
}

/// Measured for about this long.
const SECONDS: f64 = 0.005;

/// GB/s that the loop reads and writes, of arrays that take `bytes` together; what the processor moves
/// besides, such as lines fetched only to be overwritten, is not counted. The better one of two
/// loops: with plain or streaming stores, or reading in one place or eight.
pub fn gigabytes(traffic: Traffic, n_threads: usize, bytes: usize) -> f64 {
    let length = (bytes / 4 / traffic.n_arrays() / n_threads).max(512).next_multiple_of(512);
    let start = Barrier::new(n_threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..n_threads).map(|_| scope.spawn(|| one_thread(traffic, length, &start))).collect();
        let rates = workers.into_iter().map(|worker| worker.join().expect("the loops do not panic"));
        rates.fold([0.0; 2], |sum, rate| [sum[0] + rate[0], sum[1] + rate[1]])
    })
    .into_iter()
    .fold(0.0, f64::max)
}

/// GB/s of either loop.
fn one_thread(traffic: Traffic, length: usize, start: &Barrier) -> [f64; 2] {
    let mut arrays: Vec<Lines> = (0..traffic.n_arrays()).map(|_| Lines::new(length)).collect();
    [false, true].map(|other| {
        pass(traffic, &mut arrays, other);
        start.wait();
        let begin = Instant::now();
        let mut n_passes = 0;
        while n_passes == 0 || begin.elapsed().as_secs_f64() < SECONDS {
            pass(traffic, &mut arrays, other);
            n_passes += 1;
        }
        let bytes = n_passes * length * 4 * traffic.n_arrays();
        bytes as f64 / begin.elapsed().as_secs_f64() / 1e9
    })
}

/// Floats that begin at a cache line.
struct Lines {
    floats: Vec<f32>,
    begin: usize,
    length: usize,
}

impl Lines {
    /// Touched.
    fn new(length: usize) -> Self {
        let floats = vec![1.0; length + 16];
        let begin = floats.as_ptr().align_offset(64);
        Lines { floats, begin, length }
    }

    fn read(&self) -> &[f32] {
        &self.floats[self.begin..][..self.length]
    }

    fn write(&mut self) -> &mut [f32] {
        &mut self.floats[self.begin..][..self.length]
    }
}

#[cfg(target_arch = "x86_64")]
fn pass(traffic: Traffic, arrays: &mut [Lines], other: bool) {
    if !is_x86_feature_detected!("avx512f") {
        return plain(traffic, arrays);
    }
    match (traffic, other) {
        // SAFETY: the instruction set is there.
        (Traffic::Read, false) => unsafe { read_wide::<1>(&arrays[0]) },
        // SAFETY: as above.
        (Traffic::Read, true) => unsafe { read_wide::<8>(&arrays[0]) },
        // SAFETY: as above.
        (_, false) => unsafe { store_wide::<false>(arrays) },
        // SAFETY: as above.
        (_, true) => unsafe { store_wide::<true>(arrays) },
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn pass(traffic: Traffic, arrays: &mut [Lines], _other: bool) {
    plain(traffic, arrays);
}

/// In several places of the array at once: more lines are on their way.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn read_wide<const PLACES: usize>(array: &Lines) {
    use std::arch::x86_64::{_mm512_loadu_si512, _mm512_or_si512, _mm512_setzero_si512};
    let part = array.length / PLACES / 64 * 64;
    let floats = array.read();
    let mut bits = [_mm512_setzero_si512(); 4];
    for at in (0..part).step_by(64) {
        for place in 0..PLACES {
            let lines = &floats[place * part + at..][..64];
            for (line, bits) in bits.iter_mut().enumerate() {
                // SAFETY: four lines of 16 floats are 64 floats.
                *bits = _mm512_or_si512(*bits, unsafe {
                    _mm512_loadu_si512(lines.as_ptr().add(16 * line).cast())
                });
            }
        }
    }
    for bits in bits {
        black_box(bits);
    }
}

/// Writes the first array, of a constant or of the others; with stores that pass the caches by or not.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn store_wide<const STREAMING: bool>(arrays: &mut [Lines]) {
    use std::arch::x86_64::{
        _mm_sfence, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_store_ps, _mm512_stream_ps,
    };
    let (first, others) = arrays.split_first_mut().expect("there is an array");
    let three = _mm512_set1_ps(3.0);
    for (at, lines) in first.write().chunks_exact_mut(64).enumerate() {
        for line in 0..4 {
            // SAFETY: all arrays have the length of the first; `lines` is four times 16 floats at a multiple
            // of 64 bytes.
            unsafe {
                let load = |array: &Lines| _mm512_loadu_ps(array.read().as_ptr().add(at * 64 + line * 16));
                let value = match others {
                    [] => three,
                    [only] => load(only),
                    [left, right, ..] => _mm512_fmadd_ps(load(right), three, load(left)),
                };
                let to = lines.as_mut_ptr().add(line * 16);
                if STREAMING { _mm512_stream_ps(to, value) } else { _mm512_store_ps(to, value) }
            }
        }
    }
    _mm_sfence();
    black_box(first.read());
}

/// As the compiler vectorises it.
fn plain(traffic: Traffic, arrays: &mut [Lines]) {
    match (traffic, arrays) {
        (Traffic::Read, [a]) => {
            let mut sums = [0_u32; 64];
            for chunk in a.read().chunks_exact(64) {
                sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum ^= x.to_bits());
            }
            black_box(sums);
        }
        (Traffic::Write, [a]) => a.write().fill(black_box(3.0)),
        (Traffic::Copy, [a, b]) => a.write().copy_from_slice(b.read()),
        (Traffic::Triad, [a, b, c]) => {
            let operands = b.read().iter().zip(c.read());
            a.write().iter_mut().zip(operands).for_each(|(a, (b, c))| *a = b + 3.0 * c);
        }
        _ => unreachable!("each loop has its number of arrays"),
    }
}
