//! The rows: shapes, what they move and compute, and the call.

use super::{Outcome, kernels};
use std::path::Path;
use tilewright::Error;
use tilewright::prelude::*;
use tilewright::weights::save;

type Save = dyn Fn(&Path) -> Outcome<()>;

/// A row of the table.
pub struct Row {
    pub name: String,
    /// Read and written at least, in bytes.
    pub bytes: f64,
    /// Floating-point operations of products; 0 where memory is what counts.
    pub flops: f64,
    pub call: Box<dyn FnMut() -> Result<(), Error>>,
    /// Writes what the call reads, and `out`, which it writes, as a safetensors file.
    pub save: Box<Save>,
}

impl Row {
    /// Without the functions.
    pub fn json(&self) -> String {
        format!("{{\"name\": {:?}, \"bytes\": {:e}, \"flops\": {:e}}}", self.name, self.bytes, self.flops)
    }
}

/// A row whose call reads the tensors in brackets and writes the one after them.
macro_rules! row {
    ($rows:ident, $name:expr, $bytes:expr, $flops:expr, [$($tensor:ident),*] -> $out:ident, $call:expr) => {{
        let save = {
            $(let $tensor = $tensor.clone();)*
            let $out = $out.clone();
            move |path: &Path| -> Outcome<()> {
                let cpu = Device::cpu();
                Ok(save(path, &[$((stringify!($tensor), &$tensor.to(&cpu)?),)* ("out", &$out.to(&cpu)?)])?)
            }
        };
        $rows.push(Row {
            name: $name,
            bytes: $bytes as f64,
            flops: $flops,
            call: Box::new($call),
            save: Box::new(save),
        });
    }};
}

/// How many numbers there are before they come again: a prime, so that no two lines are alike.
const PERIOD: usize = 1_048_583;

/// Uniform in −1..1, the same on every run.
fn random<T: Float>(shape: &[usize], seed: u64, device: &Device) -> Outcome<Tensor<T>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let numbers = Tensor::<f32>::from_fn(PERIOD, |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    });
    let numbers = numbers.cast::<T>()?.to_vec();
    let count = shape.iter().product();
    let host = Tensor::from_vec(shape, numbers.into_iter().cycle().take(count).collect())?;
    Ok(host.to(device)?)
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
        product_of_eighths(&mut rows, device, n)?;
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

/// The host's part of a launch: nothing is to be computed.
fn launch(rows: &mut Vec<Row>, device: &Device) -> Outcome<()> {
    let x = Tensor::<bf16>::zeros_on((0, 1024), device)?;
    let mut out = Tensor::<bf16>::zeros_on((0, 1024), device)?;
    row!(rows, "launch of nothing".into(), 0, 0.0, [x] -> out, move || kernels::softmax(&x, &mut out));
    let x = Tensor::<bf16>::zeros_on((1, 32), device)?;
    let mut out = Tensor::<bf16>::zeros_on((1, 32), device)?;
    row!(rows, "launch of one program".into(), 0, 0.0, [x] -> out, move || kernels::copy(&x, &mut out));
    Ok(())
}

fn memory_bound(rows: &mut Vec<Row>, device: &Device, m: usize, n: usize) -> Outcome<()> {
    let all = random::<bf16>(&[m, n], 1, device)?;
    let other = random::<bf16>(&[m, n], 2, device)?;
    let (gains, shifts) = (random::<bf16>(&[n], 3, device)?, random::<bf16>(&[n], 4, device)?);
    let fresh = || Tensor::<bf16>::zeros_on((m, n), device);
    let name = |kernel: &str| format!("{kernel} {m}x{n}");
    let one = 2 * m * n;
    let (x, mut out) = (all.clone(), fresh()?);
    row!(rows, name("copy"), 2 * one, 0.0, [x] -> out, move || kernels::copy(&x, &mut out));
    let (x, mut out) = (all.clone(), fresh()?);
    row!(rows, name("softmax"), 2 * one, 0.0, [x] -> out, move || kernels::softmax(&x, &mut out));
    let (x, gain, shift, mut out) = (all.clone(), gains.clone(), shifts, fresh()?);
    row!(rows, name("layer_norm"), 2 * one, 0.0, [x, gain, shift] -> out, move || {
        kernels::layer_norm(&x, &gain, &shift, &mut out, 1e-5)
    });
    let (x, gain, mut out) = (all.clone(), gains, fresh()?);
    row!(rows, name("rms_norm"), 2 * one, 0.0, [x, gain] -> out, move || {
        kernels::rms_norm(&x, &gain, &mut out, 1e-5)
    });
    let (a, b, mut out) = (all.clone(), other, fresh()?);
    row!(rows, name("swiglu"), 3 * one, 0.0, [a, b] -> out, move || kernels::swiglu(&a, &b, &mut out));
    let (cosine, sine) = (random::<f32>(&[m, n / 2], 5, device)?, random::<f32>(&[m, n / 2], 6, device)?);
    let (x, mut out) = (all.reshape((m, 2, n / 2))?, Tensor::<bf16>::zeros_on((m, 2, n / 2), device)?);
    row!(rows, name("rope"), 4 * one, 0.0, [x, cosine, sine] -> out, move || {
        kernels::rope(&x, &cosine, &sine, &mut out)
    });
    let targets = Tensor::<i32>::from_fn(m, |at| ((at[0] * 7919) % n) as i32).to(device)?;
    let (logits, mut out) = (all, Tensor::<f32>::zeros_on(m, device)?);
    row!(rows, name("cross_entropy"), one, 0.0, [logits, targets] -> out, move || {
        kernels::cross_entropy(&logits, &targets, &mut out)
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
    row!(rows, format!("matmul {ty} {n}"), bytes, flops, [a, b] -> out, move || {
        kernels::matmul::with(&config, &a, &b, &mut out)
    });
    Ok(())
}

/// Of floats of 8 bits, with a result of 16.
fn product_of_eighths(rows: &mut Vec<Row>, device: &Device, n: usize) -> Outcome<()> {
    let (a, w) = (random::<f8e4m3>(&[n, n], 1, device)?, random::<f8e4m3>(&[n, n], 2, device)?);
    let mut out = Tensor::<bf16>::zeros_on((n, n), device)?;
    row!(rows, format!("matmul f8e4m3 {n}"), 4 * n * n, 2.0 * (n as f64).powi(3), [a, w] -> out, move || {
        kernels::matmul_rows(&a, &w, &mut out)
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
    row!(rows, name, 8 * b * h * s * d, flops, [q, k, v] -> out, move || {
        kernels::attention::<bf16, CAUSAL>(&q, &k, &v, &mut out, scale)
    });
    Ok(())
}
