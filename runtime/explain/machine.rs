//! What this machine can do: multiply-adds and bytes a second, measured once and kept.

use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::Instant;

use crate::element::Element;
use crate::simd::dot::unit_multiply_adds;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512, with_avx2, with_avx512};
use crate::simd::{Floats, InstructionSet, Portable, Simd, Vector};
use crate::tensor::Tensor;

/// What is measured, by an instruction set on some threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measured {
    /// Multiply-adds of f32 vectors in registers.
    Vectors,
    /// Multiply-adds of bf16 on the matrix unit.
    Unit,
    /// Bytes that a loop moves, in arrays of about so many bytes together.
    Bytes(Traffic, usize),
}

/// A loop over arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    Read,
    Write,
    /// One in, one out.
    Copy,
    /// Two in, one out.
    Triad,
}

impl Traffic {
    fn of(read: f64, written: f64) -> Traffic {
        if written * 8.0 < read {
            Traffic::Read
        } else if read * 8.0 < written {
            Traffic::Write
        } else if written * 1.5 < read {
            Traffic::Triad
        } else {
            Traffic::Copy
        }
    }

    /// Arrays, the first of which is written unless it is all that is read.
    fn arrays(self) -> usize {
        match self {
            Traffic::Read | Traffic::Write => 1,
            Traffic::Copy => 2,
            Traffic::Triad => 3,
        }
    }
}

type Key = (Measured, InstructionSet, usize);
static KNOWN: Mutex<Vec<(Key, f64)>> = Mutex::new(Vec::new());

/// Multiply-adds of f32 a second, of all threads together.
pub(crate) fn multiply_adds(isa: InstructionSet, threads: usize) -> f64 {
    measured((Measured::Vectors, isa, threads))
}

/// Multiply-adds of bf16 a second on the threads' matrix units; 0 if there are none.
pub(crate) fn unit(isa: InstructionSet, threads: usize) -> f64 {
    measured((Measured::Unit, isa, threads))
}

/// The most memory that is measured: beyond it, no cache of a core matters.
const MOST: usize = 256 << 20;

/// Bytes a second that a plain loop reads and writes in so much memory.
pub(crate) fn bandwidth(isa: InstructionSet, threads: usize, read: f64, written: f64) -> f64 {
    let bytes = rounded(((read + written) as usize).clamp(1 << 12, MOST));
    measured((Measured::Bytes(Traffic::of(read, written), bytes), isa, threads))
}

/// The two leading bits, as little more or less memory is about as fast, and less never slower.
fn rounded(bytes: usize) -> usize {
    let low = bytes.max(2).ilog2() - 1;
    bytes >> low << low
}

fn measured(key: Key) -> f64 {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, rate)) = known.iter().find(|(other, _)| *other == key) {
        return *rate;
    }
    let rate = measure(key);
    known.push((key, rate));
    rate
}

/// Rounds of a measurement, of which the fastest counts: other programs disturb.
const ROUNDS: usize = 3;
/// A round takes about as long.
const SECONDS: f64 = 0.003;

/// The rate of all threads together.
fn measure((what, isa, threads): Key) -> f64 {
    let start = Barrier::new(threads);
    let one_thread = || {
        let mut work = Work::new(what, isa, threads);
        work.run(1);
        std::array::from_fn::<f64, ROUNDS, _>(|_| {
            let mut repeats = 1;
            start.wait();
            loop {
                let begin = Instant::now();
                let done = work.run(repeats);
                let seconds = begin.elapsed().as_secs_f64();
                if seconds >= SECONDS || done == 0.0 {
                    return done / seconds.max(1e-9);
                }
                repeats *= 2;
            }
        })
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(one_thread)).collect();
        let mut sums = one_thread();
        for worker in workers {
            if let Ok(rates) = worker.join() {
                sums.iter_mut().zip(rates).for_each(|(sum, rate)| *sum += rate);
            }
        }
        sums.into_iter().fold(0.0, f64::max)
    })
}

/// An array on pages of its own: those that nobody wrote to are one page of zeros.
fn touched(length: usize) -> Option<Tensor<f32>> {
    let mut array = Tensor::try_zeros(length).ok()?;
    array.fill(1.0).ok()?;
    Some(array)
}

/// What a thread repeats.
struct Work {
    what: Measured,
    isa: InstructionSet,
    arrays: Vec<Tensor<f32>>,
}

impl Work {
    fn new(what: Measured, isa: InstructionSet, threads: usize) -> Work {
        let arrays = match what {
            Measured::Vectors | Measured::Unit => Vec::new(),
            Measured::Bytes(traffic, bytes) => {
                let length = (bytes / 4 / traffic.arrays() / threads).max(256).next_multiple_of(64);
                // None, if there is not so much memory: then the rate is 0.
                (0..traffic.arrays()).map_while(|_| touched(length)).collect()
            }
        };
        Work { what, isa, arrays }
    }

    /// How much was done.
    fn run(&mut self, repeats: usize) -> f64 {
        match self.what {
            Measured::Unit => unit_multiply_adds(self.isa, repeats),
            Measured::Vectors => match self.isa {
                InstructionSet::Scalar => chains::<Portable>(repeats),
                // SAFETY: a launch chose the instruction set, so the processor has it.
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => unsafe { chains_avx2(repeats) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512 => unsafe { chains_avx512(repeats) },
                #[cfg(not(target_arch = "x86_64"))]
                InstructionSet::Avx2 | InstructionSet::Avx512 => chains::<Portable>(repeats),
            },
            Measured::Bytes(traffic, _) => {
                if self.arrays.len() < traffic.arrays() {
                    return 0.0;
                }
                let length = self.arrays[0].len();
                let streams = traffic != Traffic::Read && 4 * length >= (8 << 20);
                let task = Pass {
                    traffic,
                    length,
                    arrays: std::array::from_fn(|at| {
                        self.arrays.get(at).map_or(std::ptr::null_mut(), Tensor::pointer)
                    }),
                };
                for _ in 0..repeats {
                    // SAFETY: the arrays are this thread's own, and have that length; the processor has the
                    // instruction set, as above.
                    unsafe {
                        match (self.isa, streams) {
                            #[cfg(target_arch = "x86_64")]
                            (InstructionSet::Avx2, false) => pass_avx2(&task),
                            #[cfg(target_arch = "x86_64")]
                            (InstructionSet::Avx512, false) => pass_avx512(&task),
                            #[cfg(target_arch = "x86_64")]
                            (InstructionSet::Avx2, true) => streaming_avx2(&task),
                            #[cfg(target_arch = "x86_64")]
                            (InstructionSet::Avx512, true) => streaming_avx512(&task),
                            _ => pass::<Portable, false>(&task),
                        }
                    }
                }
                (4 * length * traffic.arrays() * repeats) as f64
            }
        }
    }
}

/// Enough chains to hide a multiply-add's latency on two ports, few enough for sixteen registers.
const CHAINS: usize = 12;

/// Multiply-adds that do not wait for each other.
#[inline(always)]
fn chains<S: Simd>(repeats: usize) -> f64 {
    const LONG: usize = 10_000;
    let (by, plus) = (S::F32::splat(black_box(0.999)), S::F32::splat(black_box(0.001)));
    let mut sums = [S::F32::splat(1.0); CHAINS];
    for _ in 0..repeats * LONG {
        for sum in &mut sums {
            *sum = sum.mul_add(by, plus);
        }
    }
    for sum in sums {
        black_box(sum.lane(0));
    }
    (repeats * LONG * CHAINS * S::LANES) as f64
}

/// A loop over arrays of a thread.
struct Pass {
    traffic: Traffic,
    length: usize,
    arrays: [*mut f32; 3],
}

/// # Safety
/// The arrays that the traffic has are readable and writable, `length` long, which is a multiple of 64, and begin
/// at a multiple of 64 bytes.
#[inline(always)]
unsafe fn pass<S: Simd, const STREAM: bool>(task: &Pass) {
    let [first, second, third] = task.arrays;
    let three = S::F32::splat(black_box(3.0));
    let mut sums = [S::F32::splat(0.0); 4];
    for at in (0..task.length).step_by(4 * S::LANES) {
        for (part, sum) in sums.iter_mut().enumerate() {
            let at = at + part * S::LANES;
            // SAFETY: `4 * LANES` divides 64, so these lanes are elements of the arrays.
            unsafe {
                let load = |array: *mut f32| <f32 as Element>::load::<S>(array.add(at), S::LANES);
                let value = match task.traffic {
                    Traffic::Read => {
                        *sum = sum.max(load(first));
                        continue;
                    }
                    Traffic::Write => three,
                    Traffic::Copy => load(second),
                    Traffic::Triad => load(third).mul_add(three, load(second)),
                };
                if STREAM {
                    <f32 as Element>::stream::<S>(first.add(at), value);
                } else {
                    <f32 as Element>::store::<S>(first.add(at), value, S::LANES);
                }
            }
        }
    }
    S::settle();
    for sum in sums {
        black_box(sum.lane(0));
    }
}

#[cfg(target_arch = "x86_64")]
with_avx2! {
    fn chains_avx2(repeats: usize) -> f64 {
        chains::<Avx2>(repeats)
    }
    /// # Safety
    /// As [`pass`].
    unsafe fn pass_avx2(task: &Pass) {
        // SAFETY: the same contract.
        unsafe { pass::<Avx2, false>(task) }
    }
    /// # Safety
    /// As [`pass`].
    unsafe fn streaming_avx2(task: &Pass) {
        // SAFETY: the same contract.
        unsafe { pass::<Avx2, true>(task) }
    }
}

#[cfg(target_arch = "x86_64")]
with_avx512! {
    fn chains_avx512(repeats: usize) -> f64 {
        chains::<Avx512>(repeats)
    }
    /// # Safety
    /// As [`pass`].
    unsafe fn pass_avx512(task: &Pass) {
        // SAFETY: the same contract.
        unsafe { pass::<Avx512, false>(task) }
    }
    /// # Safety
    /// As [`pass`].
    unsafe fn streaming_avx512(task: &Pass) {
        // SAFETY: the same contract.
        unsafe { pass::<Avx512, true>(task) }
    }
}
