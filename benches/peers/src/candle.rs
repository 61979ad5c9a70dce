//! candle on the CPU. Its operations return new tensors: none writes to one that is there.

use crate::protocol::{Failure, Row, floats, indices};
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::attention::{AttnMask, cpu_flash};
use candle_nn::{ops, rotary_emb};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

pub fn open(operation: &str, shape: &[usize]) -> std::result::Result<Option<Row>, Failure> {
    Ok(match (operation, shape) {
        ("matmul", &[m, n, k]) => {
            let (x, w) = (random(1, &[m, k])?, random(2, &[k, n])?);
            Some(row(move || x.matmul(&w)))
        }
        ("matmul_bf16", &[m, n, k]) => Some(half(m, n, k, DType::BF16)?),
        ("matmul_f16", &[m, n, k]) => Some(half(m, n, k, DType::F16)?),
        ("linear_gelu", &[m, n, k]) => {
            let (x, w, bias) = (random(1, &[m, k])?, random(2, &[n, k])?.t()?, random(3, &[n])?);
            Some(row(move || x.matmul(&w)?.broadcast_add(&bias)?.gelu_erf()))
        }
        ("attention", &[1, h, s, d]) => Some(attention([h, h, s, s, d], false)?),
        ("attention_causal", &[1, h, s, d]) => Some(attention([h, h, s, s, d], true)?),
        ("attention_decode", &[1, h, g, l, d]) => Some(attention([h, g, 1, l, d], false)?),
        (_, &[m, n]) if operation != "minilm" => over_rows(operation, m, n)?,
        _ => None,
    })
}

fn over_rows(operation: &str, m: usize, n: usize) -> Result<Option<Row>> {
    let x = random(1, &[m, n])?;
    Ok(Some(match operation {
        "softmax" => row(move || ops::softmax_last_dim(&x)),
        "layer_norm" => {
            let (gain, shift) = (random(2, &[n])?, random(3, &[n])?);
            row(move || ops::layer_norm(&x, &gain, &shift, 1e-5))
        }
        "rms_norm" => {
            let gain = random(2, &[n])?;
            row(move || ops::rms_norm(&x, &gain, 1e-5))
        }
        "gelu" => row(move || x.gelu_erf()),
        "gelu_tanh" => row(move || x.gelu()),
        "silu_mul" => {
            let y = random(2, &[m, n])?;
            row(move || x.silu()? * &y)
        }
        "rope" => {
            let x = x.reshape((1, 1, m, n))?;
            let (cosine, sine) = (random(2, &[m, n / 2])?, random(3, &[m, n / 2])?);
            row(move || rotary_emb::rope(&x, &cosine, &sine))
        }
        "row_sum" => row(move || x.sum(1)),
        "add" => {
            let y = random(2, &[m, n])?;
            row(move || &x + &y)
        }
        "cross_entropy" => {
            let targets = Tensor::from_vec(indices(2, m, n), (m, 1), &Device::Cpu)?;
            row(move || ops::log_softmax(&x, D::Minus1)?.gather(&targets, 1)?.neg())
        }
        _ => return Ok(None),
    }))
}

/// No operation takes two types: the activations become the weights', or the weights f32.
fn half(m: usize, n: usize, k: usize, dtype: DType) -> Result<Row> {
    let (x, w) = (random(1, &[m, k])?, random(2, &[n, k])?.to_dtype(dtype)?.t()?);
    let (same_x, same_w) = (x.clone(), w.clone());
    Ok(fastest([
        row(move || x.to_dtype(dtype)?.matmul(&w)?.to_dtype(DType::F32)),
        row(move || same_x.matmul(&same_w.to_dtype(DType::F32)?)),
    ]))
}

/// Fused, or in three operations where no mask is needed. Heads, groups, queries, keys, depth.
fn attention([h, g, s, l, d]: [usize; 5], causal: bool) -> Result<Row> {
    let scale = 1.0 / (d as f64).sqrt();
    let q = random(1, &[1, h, s, d])?;
    let (k, v) = (random(2, &[1, g, l, d])?, random(3, &[1, g, l, d])?);
    let by_token = |x: &Tensor| x.transpose(1, 2)?.contiguous();
    let (queries, keys, values) = (by_token(&q)?, by_token(&k)?, by_token(&v)?);
    let mask = if causal { AttnMask::causal } else { || AttnMask::None };
    let fused =
        row(move || cpu_flash::flash_attn::<f32>(&queries, &keys, &values, scale as f32, mask(), None, None));
    if causal {
        return Ok(fused);
    }
    // The queries of a group as rows of one matrix.
    let q = q.reshape((g, h / g * s, d))?;
    let (k, v) = (k.reshape((g, l, d))?, v.reshape((g, l, d))?);
    let steps = row(move || ops::softmax_last_dim(&(q.matmul(&k.transpose(1, 2)?)? * scale)?)?.matmul(&v));
    Ok(fastest([fused, steps]))
}

fn random(seed: u32, shape: &[usize]) -> Result<Tensor> {
    Tensor::from_vec(floats(seed, shape.iter().product()), shape, &Device::Cpu)
}

fn row(call: impl Fn() -> Result<Tensor> + 'static) -> Row {
    let last = Rc::new(RefCell::new(None));
    let written = Rc::clone(&last);
    Row {
        call: Box::new(move || {
            *last.borrow_mut() = None; // before the call, so that the allocator can give its memory again
            *last.borrow_mut() = Some(call()?);
            Ok(())
        }),
        result: Box::new(move || {
            let last = written.borrow();
            let values = last.as_ref().ok_or("no call yet")?.flatten_all()?.to_vec1::<f32>()?;
            Ok(values.iter().flat_map(|x| x.to_le_bytes()).collect())
        }),
    }
}

/// The row that takes less time here; one that fails does not count.
fn fastest(rows: [Row; 2]) -> Row {
    let mut timed = rows.map(|mut row| {
        let mut once = || {
            let start = Instant::now();
            (row.call)().map_or(f64::INFINITY, |()| start.elapsed().as_secs_f64())
        };
        let seconds = (0..5).map(|_| once()).fold(f64::INFINITY, f64::min);
        (seconds, row)
    });
    timed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let [(_, first), _] = timed;
    first
}
