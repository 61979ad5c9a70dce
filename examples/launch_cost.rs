//! What a launch costs the host: time and allocations, over whatever driver is there.
//!
//! ```text
//! cargo run --release --example launch_cost -- [--device cuda:0]
//! ```
//!
//! Tensors without rows make launches of no program: all of the host's work but the driver's own calls, so
//! the figure is the same over an emulated driver. It says nothing about a GPU.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;
use tilewright::prelude::*;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's, counting.
struct Counting;

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // After a thread's values are gone nothing is counted.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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

/// Prints the shortest of `rounds` batches of `calls` launches, and the allocations of a launch.
fn report(
    name: &str,
    (rounds, calls): (u32, u32),
    mut launch: impl FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    launch()?;
    let before = ALLOCATIONS.get();
    launch()?;
    let allocations = ALLOCATIONS.get() - before;
    let mut shortest = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..calls {
            launch()?;
        }
        shortest = shortest.min(start.elapsed().as_secs_f64() / f64::from(calls));
    }
    println!("{name:<44} {:>9.3} µs {allocations:>4} allocations", shortest * 1e6);
    Ok(())
}

fn main() -> Result<(), Error> {
    let name = std::env::args().skip_while(|word| word != "--device").nth(1);
    let device: Device = match (name.as_deref().unwrap_or("cuda:0").parse(), &name) {
        (Ok(device), _) => device,
        // Nobody asked for this one.
        (Err(error), None) => {
            println!("nothing is measured: {error}");
            return Ok(());
        }
        (Err(error), Some(_)) => return Err(error),
    };
    println!("{device}");
    let tensor = |m: usize, n: usize| Tensor::<bf16>::zeros_on((m, n), &device);

    let (x, mut out) = (tensor(0, 1024)?, tensor(0, 1024)?);
    report("softmax, no program: host code alone", (200, 1000), || softmax(&x, &mut out))?;
    let (x, w, mut out) = (tensor(0, 1024)?, tensor(1024, 1024)?, tensor(0, 1024)?);
    report("linear, no program: host code alone", (200, 1000), || linear(&x, &w, &mut out))?;

    // With the driver's calls and, over an emulated driver, the kernel itself.
    let (x, mut out) = (tensor(1, 32)?, tensor(1, 32)?);
    report("softmax, one row: driver and kernel too", (20, 10), || softmax(&x, &mut out))?;
    let graph = device.capture(|| (0..10).try_for_each(|_| softmax(&x, &mut out)))?;
    report("a graph of ten such, driver and kernels too", (20, 1), || graph.launch())?;
    let (x, w, mut out) = (tensor(128, 64)?, tensor(128, 64)?, tensor(128, 128)?);
    report("linear, 128 × 128: driver and kernel too", (3, 2), || linear(&x, &w, &mut out))?;
    device.synchronize()
}
