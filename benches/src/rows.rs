//! A row by its name, with inputs and output.

use crate::protocol::{Failure, Row, bytes, floats, indices};
use crate::{kernels, model};
use tilewright::prelude::*;
use tilewright::{bf16, f16};

/// What versus/rows.py may ask for; nothing where the operation is not known.
pub fn open(operation: &str, shape: &[usize]) -> Result<Option<Row>, Failure> {
    Ok(Some(match (operation, shape) {
        ("matmul", &[m, n, k]) => {
            let (x, w) = (random(1, &[m, k])?, random(2, &[k, n])?);
            w.keep_packed();
            row([m, n], move |out| kernels::matmul(&x, &w, out))
        }
        ("matmul_bf16", &[m, n, k]) => half::<bf16>(m, n, k)?,
        ("matmul_f16", &[m, n, k]) => half::<f16>(m, n, k)?,
        ("matmul_int8", &[m, n, k]) => {
            let x = Tensor::from_vec([m, k], bytes(1, m * k))?;
            let w = Tensor::from_vec([n, k], bytes(2, n * k))?;
            w.keep_packed();
            row([m, n], move |out: &mut Tensor<i32>| kernels::matmul_int8(&x, &w, out))
        }
        ("linear_gelu", &[m, n, k]) => {
            let (x, w, bias) = (random(1, &[m, k])?, random(2, &[n, k])?, random(3, &[n])?);
            w.keep_packed();
            row([m, n], move |out| kernels::linear_gelu(&x, &w, &bias, out))
        }
        (_, &[m, n]) if operation != "minilm" => return rows_of(operation, m, n),
        ("attention", &[b, h, s, d]) => attention::<false>([b, h, h, s, s, d])?,
        ("attention_causal", &[b, h, s, d]) => attention::<true>([b, h, h, s, s, d])?,
        ("attention_decode", &[b, h, g, l, d]) => attention::<false>([b, h, g, 1, l, d])?,
        ("minilm", &[n_sentences, width]) => return model::open(n_sentences, width),
        ("minilm_text", &[n_sentences]) => return model::open_text(n_sentences),
        _ => return Ok(None),
    }))
}

/// What works on the rows of a matrix.
fn rows_of(operation: &str, m: usize, n: usize) -> Result<Option<Row>, Failure> {
    let x = random(1, &[m, n])?;
    Ok(Some(match operation {
        "softmax" => row([m, n], move |out| kernels::softmax(&x, out)),
        "layer_norm" => {
            let (gain, shift) = (random(2, &[n])?, random(3, &[n])?);
            row([m, n], move |out| kernels::layer_norm(&x, &gain, &shift, out, 1e-5))
        }
        "rms_norm" => {
            let gain = random(2, &[n])?;
            row([m, n], move |out| kernels::rms_norm(&x, &gain, out, 1e-5))
        }
        "gelu" => row([m, n], move |out| kernels::gelu_erf(&x, out)),
        "gelu_tanh" => row([m, n], move |out| kernels::gelu_approx(&x, out)),
        "silu_mul" => {
            let y = random(2, &[m, n])?;
            row([m, n], move |out| kernels::silu_mul(&x, &y, out))
        }
        "rope" => {
            let x = x.reshape([m, 2, n / 2])?;
            let (cosine, sine) = (random(2, &[m, n / 2])?, random(3, &[m, n / 2])?);
            row([m, 2, n / 2], move |out| kernels::rope(&x, &cosine, &sine, out))
        }
        "row_sum" => row([m], move |out| kernels::row_sum(&x, out)),
        "add" => {
            let y = random(2, &[m, n])?;
            row([m, n], move |out| kernels::add(&x, &y, out))
        }
        "cross_entropy" => {
            let targets = indices(2, m, n).into_iter().map(|target| target as i32).collect();
            let targets = Tensor::from_vec([m], targets)?;
            row([m], move |out| kernels::cross_entropy(&x, &targets, out))
        }
        _ => return Ok(None),
    }))
}

fn half<T: Float>(m: usize, n: usize, k: usize) -> Result<Row, Failure> {
    let x = random(1, &[m, k])?;
    let w = random(2, &[n, k])?.cast::<T>()?;
    w.keep_packed();
    Ok(row([m, n], move |out| kernels::matmul_half(&x, &w, out)))
}

/// Batch, heads, groups, queries, keys, depth.
fn attention<const CAUSAL: bool>([b, h, g, s, l, d]: [usize; 6]) -> Result<Row, Failure> {
    let q = random(1, &[b, h, s, d])?;
    let (k, v) = (random(2, &[b, g, l, d])?, random(3, &[b, g, l, d])?);
    let scale = 1.0 / (d as f32).sqrt();
    Ok(row([b, h, s, d], move |out| kernels::attention::<CAUSAL>(&q, &k, &v, out, scale)))
}

fn random(seed: u32, shape: &[usize]) -> Result<Tensor<f32>, Failure> {
    Ok(Tensor::from_vec(shape, floats(seed, shape.iter().product()))?)
}

/// An output of that shape, and the call that fills it.
fn row<T: Element + Bytes, const RANK: usize>(
    shape: [usize; RANK],
    mut call: impl FnMut(&mut Tensor<T>) -> Result<(), Error> + 'static,
) -> Row {
    let mut out = Tensor::<T>::zeros(shape);
    let view = out.clone();
    Row {
        call: Box::new(move || Ok(call(&mut out)?)),
        result: Box::new(move || Ok(view.try_to_vec()?.into_iter().flat_map(T::bytes).collect())),
    }
}

/// What results are made of.
trait Bytes {
    fn bytes(self) -> [u8; 4];
}

impl Bytes for f32 {
    fn bytes(self) -> [u8; 4] {
        self.to_le_bytes()
    }
}

impl Bytes for i32 {
    fn bytes(self) -> [u8; 4] {
        self.to_le_bytes()
    }
}
