//! The kernels that are timed: as a user would write them.

use tilewright::prelude::*;

/// `a · b`.
#[kernel]
pub fn matmul<M, N, K>(a: &Tensor<f32, (M, K)>, b: &Tensor<f32, (K, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(a[(m, k)], b[(k, n)], k);
        }
        out[(m, n)] = acc;
    }
}

/// `gelu(x · wᵀ + bias)`.
#[kernel]
pub fn linear_gelu<M, N, K>(
    x: &Tensor<f32, (M, K)>,
    w: &Tensor<f32, (N, K)>,
    bias: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = gelu(acc + bias[n]);
    }
}

/// Over the last dimension.
#[kernel]
pub fn softmax<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = e / e.sum(N);
    }
}

/// Over the last dimension, with gain and shift.
#[kernel]
pub fn layer_norm<M, N>(
    x: &Tensor<f32, (M, N)>,
    gain: &Tensor<f32, N>,
    shift: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
    epsilon: f32,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let centred = row - row.mean(N);
        let variance = (centred * centred).mean(N);
        out[(m, ..)] = centred * rsqrt(variance + epsilon) * gain[..] + shift[..];
    }
}

/// The exact gelu.
#[kernel]
pub fn gelu_erf<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = gelu(x[(m, n)]);
    }
}

/// The tanh approximation.
#[kernel]
pub fn gelu_approx<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = gelu_tanh(x[(m, n)]);
    }
}

/// Elementwise: what memory allows.
#[kernel]
pub fn add<M, N>(x: &Tensor<f32, (M, N)>, y: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = x[(m, n)] + y[(m, n)];
    }
}

/// `softmax(scale · q kᵀ) v` for each head.
#[kernel]
pub fn attention<H, S, L, D>(
    q: &Tensor<f32, (H, S, D)>,
    k: &Tensor<f32, (H, L, D)>,
    v: &Tensor<f32, (H, L, D)>,
    out: &mut Tensor<f32, (H, S, D)>,
    scale: f32,
) {
    assert!(D <= 256);
    for (h, s) in (each(H), tile(S)) {
        let mut peak = full::<f32>(s, f32::NEG_INFINITY);
        let mut total = zeros::<f32>(s);
        let mut acc = zeros::<f32>((s, D));
        for t in tile(L) {
            let score = dot(q[(h, s, ..)], k[(h, t, ..)], D) * scale;
            let next = max(peak, score.max(t));
            let p = exp_sub(score, next);
            let fade = exp_sub(peak, next);
            total = total * fade + p.sum(t);
            acc = acc * fade + dot(p, v[(h, t, ..)], t);
            peak = next;
        }
        out[(h, s, ..)] = acc / total;
    }
}
