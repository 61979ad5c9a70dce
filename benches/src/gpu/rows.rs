//! The rows: shapes, what they move and compute, and the call.

use super::{Outcome, kernels};
use tilewright::Error;
use tilewright::prelude::*;

/// A row of the table.
pub struct Row {
    pub name: String,
    /// Read and written at least, in bytes.
    pub bytes: f64,
    /// Floating-point operations of products; 0 where memory is what counts.
    pub flops: f64,
    pub call: Box<dyn FnMut() -> Result<(), Error>>,
}

impl Row {
    /// Without the call.
    pub fn json(&self) -> String {
        format!("{{\"name\": {:?}, \"bytes\": {:e}, \"flops\": {:e}}}", self.name, self.bytes, self.flops)
    }
}

/// Uniform in −1..1, the same on every run.
fn random<T: Float>(shape: &[usize], seed: u64, device: &Device) -> Outcome<Tensor<T>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let host = Tensor::<f32>::from_fn(shape, |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    });
    Ok(host.cast::<T>()?.to(device)?)
}

/// All rows, with inputs and outputs on the device.
pub fn rows(device: &Device, quick: bool) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    launch(&mut rows, device)?;
    for (m, n) in
        if quick { vec![(64, 128)] } else { vec![(4096, 1024), (4096, 4096), (8192, 8192), (32768, 2048)] }
    {
        memory_bound(&mut rows, device, m, n)?;
    }
    for n in if quick { vec![128] } else { vec![4096, 8192] } {
        product::<bf16>(&mut rows, device, "bf16", n, &Config::new())?;
        product::<f32>(&mut rows, device, "tf32", n, &Config::new().tf32())?;
    }
    let n = if quick { 128 } else { 4096 };
    product::<f16>(&mut rows, device, "f16", n, &Config::new())?;
    product::<f32>(&mut rows, device, "f32", n, &Config::new())?;
    for d in [64, 128] {
        for s in if quick { vec![128] } else { vec![2048, 4096, 8192, 16384] } {
            attention::<false>(&mut rows, device, s, d, quick)?;
            attention::<true>(&mut rows, device, s, d, quick)?;
        }
    }
    Ok(rows)
}

fn add(
    rows: &mut Vec<Row>,
    name: String,
    bytes: usize,
    flops: f64,
    call: impl FnMut() -> Result<(), Error> + 'static,
) {
    rows.push(Row { name, bytes: bytes as f64, flops, call: Box::new(call) });
}

/// The host's part of a launch: nothing is to be computed.
fn launch(rows: &mut Vec<Row>, device: &Device) -> Outcome<()> {
    let x = Tensor::<bf16>::zeros_on((0, 1024), device)?;
    let mut out = Tensor::<bf16>::zeros_on((0, 1024), device)?;
    add(rows, "launch of nothing".into(), 0, 0.0, move || kernels::softmax(&x, &mut out));
    let x = Tensor::<bf16>::zeros_on((1, 32), device)?;
    let mut out = Tensor::<bf16>::zeros_on((1, 32), device)?;
    add(rows, "launch of one program".into(), 0, 0.0, move || kernels::copy(&x, &mut out));
    Ok(())
}

fn memory_bound(rows: &mut Vec<Row>, device: &Device, m: usize, n: usize) -> Outcome<()> {
    let x = random::<bf16>(&[m, n], 1, device)?;
    let y = random::<bf16>(&[m, n], 2, device)?;
    let (gain, shift) = (random::<bf16>(&[n], 3, device)?, random::<bf16>(&[n], 4, device)?);
    let out = || Tensor::<bf16>::zeros_on((m, n), device);
    let (shape, one) = (format!("{m}x{n}"), 2 * m * n);
    let (a, mut o) = (x.clone(), out()?);
    add(rows, format!("copy {shape}"), 2 * one, 0.0, move || kernels::copy(&a, &mut o));
    let (a, mut o) = (x.clone(), out()?);
    add(rows, format!("softmax {shape}"), 2 * one, 0.0, move || kernels::softmax(&a, &mut o));
    let (a, g, s, mut o) = (x.clone(), gain.clone(), shift, out()?);
    add(rows, format!("layer_norm {shape}"), 2 * one, 0.0, move || {
        kernels::layer_norm(&a, &g, &s, &mut o, 1e-5)
    });
    let (a, mut o) = (x.clone(), out()?);
    add(rows, format!("rms_norm {shape}"), 2 * one, 0.0, move || kernels::rms_norm(&a, &gain, &mut o, 1e-5));
    let (a, mut o) = (x.clone(), out()?);
    add(rows, format!("swiglu {shape}"), 3 * one, 0.0, move || kernels::swiglu(&a, &y, &mut o));
    let (cosine, sine) = (random::<f32>(&[m, n / 2], 5, device)?, random::<f32>(&[m, n / 2], 6, device)?);
    let (a, mut o) = (x.reshape((m, 2, n / 2))?, Tensor::<bf16>::zeros_on((m, 2, n / 2), device)?);
    add(rows, format!("rope {shape}"), 4 * one, 0.0, move || kernels::rope(&a, &cosine, &sine, &mut o));
    let targets = Tensor::<i32>::from_fn(m, |at| ((at[0] * 7919) % n) as i32).to(device)?;
    let mut o = Tensor::<f32>::zeros_on(m, device)?;
    add(rows, format!("cross_entropy {shape}"), one, 0.0, move || {
        kernels::cross_entropy(&x, &targets, &mut o)
    });
    Ok(())
}

fn product<T: Float>(
    rows: &mut Vec<Row>,
    device: &Device,
    ty: &str,
    n: usize,
    config: &Config,
) -> Outcome<()> {
    let config = config.clone();
    let (a, b) = (random::<T>(&[n, n], 1, device)?, random::<T>(&[n, n], 2, device)?);
    let mut out = Tensor::<T>::zeros_on((n, n), device)?;
    let (bytes, flops) = (3 * n * n * size_of::<T>(), 2.0 * (n as f64).powi(3));
    add(rows, format!("matmul {ty} {n}"), bytes, flops, move || {
        kernels::matmul::with(&config, &a, &b, &mut out)
    });
    Ok(())
}

/// As many batches as make 16k tokens, and heads as make 2048 channels.
fn attention<const CAUSAL: bool>(
    rows: &mut Vec<Row>,
    device: &Device,
    s: usize,
    d: usize,
    quick: bool,
) -> Outcome<()> {
    let (b, h) = if quick { (1, 1) } else { (16384 / s, 2048 / d) };
    let shape = [b, h, s, d];
    let tensor = |seed| random::<bf16>(&shape, seed, device);
    let (q, k, v) = (tensor(1)?, tensor(2)?, tensor(3)?);
    let mut out = Tensor::<bf16>::zeros_on(&shape[..], device)?;
    let all = 4.0 * (b * h * s * s * d) as f64;
    let flops = if CAUSAL { all / 2.0 } else { all };
    let name = format!("attention {}{s} d{d}", if CAUSAL { "causal " } else { "" });
    let scale = 1.0 / (d as f32).sqrt();
    add(rows, name, 8 * b * h * s * d, flops, move || {
        kernels::attention::<bf16, CAUSAL>(&q, &k, &v, &mut out, scale)
    });
    Ok(())
}
