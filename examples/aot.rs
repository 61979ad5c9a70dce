//! Compiles kernels ahead of time, and runs them where no compiler is.
//!
//! ```text
//! cargo run --example aot -- --arch sm_80,sm_90a,gfx942 -o kernels.twb
//! cargo run --example aot -- --run kernels.twb
//! ```
//!
//! The first writes a bundle for each architecture whose compiler is on this machine, and says what is missing
//! for the others. The second gives it to the GPU, if there is one, and checks a kernel's result.

use std::time::Instant;
use tilewright::prelude::*;
use tilewright::{Architecture, Bundle};

/// Over the last dimension.
#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}

/// `a · b`.
#[kernel]
fn product<T: Float, M, N, K>(a: &Tensor<T, (M, K)>, b: &Tensor<T, (K, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut sum = zeros::<f32>((m, n));
        for k in tile(K) {
            sum += dot(a[(m, k)], b[(k, n)], k);
        }
        out[(m, n)] = sum;
    }
}

/// `softmax(scale · q kᵀ) v` for each head, in one pass over the keys.
#[kernel]
fn attention<T: Float, H, S, L, D>(
    q: &Tensor<T, (H, S, D)>,
    k: &Tensor<T, (H, L, D)>,
    v: &Tensor<T, (H, L, D)>,
    out: &mut Tensor<T, (H, S, D)>,
    scale: f32,
) {
    assert!(D <= 256);
    for (h, s) in (each(H), tile(S)) {
        let mut peak = full::<f32>(s, f32::NEG_INFINITY);
        let mut total = zeros::<f32>(s);
        let mut acc = zeros::<f32>((s, D));
        for l in tile(L) {
            let score = dot(q[(h, s, ..)], k[(h, l, ..)], D) * scale;
            let next = max(peak, score.max(l));
            let p = exp_sub(score, next);
            let fade = exp_sub(peak, next);
            total = total * fade + p.sum(l);
            acc = acc * fade + dot(p.cast::<T>(), v[(h, l, ..)], l);
            peak = next;
        }
        out[(h, s, ..)] = (acc / total).cast();
    }
}

/// The shapes that the program uses.
const ROWS: usize = 64;
const WIDTH: usize = 256;
const HEADS: [usize; 3] = [4, ROWS, 64];

/// All calls whose kernels belong into the bundle.
fn calls() -> Result<(), Error> {
    let (x, w) = (Tensor::<bf16>::zeros((ROWS, WIDTH)), Tensor::<bf16>::zeros((WIDTH, WIDTH)));
    product(&x, &w, &mut Tensor::zeros((ROWS, WIDTH)))?;
    softmax(&x, &mut Tensor::<bf16>::zeros((ROWS, WIDTH)))?;
    let head = || Tensor::<bf16>::zeros(HEADS);
    attention(&head(), &head(), &head(), &mut head(), 0.125)?;
    let x = Tensor::<f32>::zeros((ROWS, WIDTH));
    softmax(&x, &mut Tensor::<f32>::zeros((ROWS, WIDTH)))
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| {
        let at = arguments.iter().position(|word| word == flag)?;
        arguments.get(at + 1).cloned()
    };
    if let Some(path) = after("--run") {
        return run(&path);
    }
    let names = after("--arch").unwrap_or_else(|| "sm_80,sm_90a,gfx942".into());
    let mut all = Bundle::default();
    for name in names.split(',') {
        let architecture: Architecture = name.parse()?;
        let start = Instant::now();
        match Bundle::compile(&[architecture], calls) {
            Ok(bundle) => {
                println!("{name}: {} kernels in {:.1?}", bundle.iter().count(), start.elapsed());
                all.extend(bundle);
            }
            Err(Error::Device(error)) => println!("{name}: not compiled: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    for (architecture, kernel, bytes) in all.iter() {
        println!("{architecture:>8}  {kernel:<10} {bytes:>8} bytes");
    }
    let Some(path) = after("-o") else {
        println!("no -o: nothing is written");
        return Ok(());
    };
    all.write(&path)?;
    println!("{path}: {} bytes", all.to_bytes().len());
    Ok(())
}

/// Launches from the bundle, beside the same on the CPU.
fn run(path: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let bundle = Bundle::read(path)?;
    let device = Device::cuda(0).or_else(|_| Device::rocm(0))?;
    println!("{device}: {} kernels of the bundle", device.preload(&bundle));
    let x = Tensor::<f32>::from_fn((ROWS, WIDTH), |at| ((at[0] * 31 + at[1] * 17) % 97) as f32 * 0.1);
    let (mut here, mut there) = (Tensor::zeros((ROWS, WIDTH)), Tensor::zeros_on((ROWS, WIDTH), &device)?);
    softmax(&x, &mut here)?;
    softmax(&x.to(&device)?, &mut there)?;
    let there = there.to(&Device::cpu())?;
    let worst = here.to_vec().iter().zip(there.to_vec()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("softmax differs from the CPU's by {worst:e} at most");
    assert!(worst < 1e-5, "the bundle's kernel is wrong");
    Ok(())
}
