//! Runs a kernel for each line of the standard input and answers with the time of a call.
//!
//! `peers.py` drives it, so that our calls and a peer's alternate in one run:
//!
//! ```text
//! > info
//! < avx512
//! > softmax
//! < 0.000412          seconds of one call
//! > peak
//! < 151.3             GFLOP/s of fused multiply-adds on one thread
//! ```

mod kernels;
mod model;
mod peak;

use std::io::{BufRead, Write};
use std::time::Instant;
use tilewright::Error;
use tilewright::prelude::*;

/// A row's call, outputs and all.
pub type Call = Box<dyn FnMut() -> Result<(), Error>>;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut rows = rows();
    rows.extend(model::rows()?);
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            "info" => writeln!(out, "{}", tilewright::simd::InstructionSet::detect()?.name())?,
            "peak" => writeln!(out, "{}", peak::gflops())?,
            name => match rows.iter_mut().find(|(row, _)| *row == name) {
                Some((_, call)) => writeln!(out, "{}", time(call)?)?,
                None => writeln!(out, "unknown")?,
            },
        }
        out.flush()?;
    }
    Ok(())
}

/// One call to wake threads and warm caches, then the median of as many as fit into 20 ms.
fn time(call: &mut Call) -> Result<f64, Error> {
    let mut timed = || {
        let start = Instant::now();
        call().map(|()| start.elapsed().as_secs_f64())
    };
    let n_calls = (0.02 / timed()?).clamp(1.0, 15.0) as usize;
    let mut seconds = (0..n_calls).map(|_| timed()).collect::<Result<Vec<_>, _>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

/// Uniform in -2..2, the same on every run.
fn random(shape: &[usize], seed: u64) -> Tensor<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    Tensor::from_fn(shape, |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 22) as f32 - 2.0
    })
}

/// All rows by name; every tensor is allocated and touched here.
fn rows() -> Vec<(String, Call)> {
    let mut rows: Vec<(String, Call)> = Vec::new();
    for n in [256, 512, 1024, 2048] {
        let (a, b, bias) = (random(&[n, n], 1), random(&[n, n], 2), random(&[n], 3));
        let mut out = random(&[n, n], 4);
        let (x, w, mut y) = (a.clone(), b.clone(), out.clone());
        rows.push((format!("matmul {n}"), Box::new(move || kernels::matmul(&a, &b, &mut out))));
        rows.push((
            format!("linear_gelu {n}"),
            Box::new(move || kernels::linear_gelu(&x, &w, &bias, &mut y)),
        ));
    }
    for (m, n) in [(4096, 1024), (4096, 4096)] {
        let (x, y) = (random(&[m, n], 1), random(&[m, n], 2));
        let (gain, shift) = (random(&[n], 3), random(&[n], 4));
        let out = random(&[m, n], 5);
        let mut push = |name: &str, call: Call| rows.push((format!("{name} {m}x{n}"), call));
        let (a, mut o) = (x.clone(), out.clone());
        push("softmax", Box::new(move || kernels::softmax(&a, &mut o)));
        let (a, mut o) = (x.clone(), out.clone());
        push("layer_norm", Box::new(move || kernels::layer_norm(&a, &gain, &shift, &mut o, 1e-5)));
        let (a, mut o) = (x.clone(), out.clone());
        push("gelu", Box::new(move || kernels::gelu_erf(&a, &mut o)));
        let (a, mut o) = (x.clone(), out.clone());
        push("gelu_tanh", Box::new(move || kernels::gelu_approx(&a, &mut o)));
        let mut o = out;
        push("add", Box::new(move || kernels::add(&x, &y, &mut o)));
    }
    for (h, s, d) in [(12, 512, 64), (8, 2048, 64)] {
        let [q, k, v, mut out] = [1, 2, 3, 4].map(|seed| random(&[h, s, d], seed));
        rows.push((
            format!("attention {h}x{s}x{d}"),
            Box::new(move || kernels::attention(&q, &k, &v, &mut out, 0.125)),
        ));
    }
    rows
}
