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

/// Sums over the last dimension.
#[kernel]
pub fn row_sum<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[(m, ..)].sum(N);
    }
}

/// Over the last dimension, with gain.
#[kernel]
pub fn rms_norm<M, N>(
    x: &Tensor<f32, (M, N)>,
    gain: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
    epsilon: f32,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        out[(m, ..)] = row * rsqrt((row * row).mean(N) + epsilon) * gain[..];
    }
}

/// `silu(x) · y`.
#[kernel]
pub fn silu_mul<M, N>(x: &Tensor<f32, (M, N)>, y: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = silu(x[(m, n)]) * y[(m, n)];
    }
}

/// Pairs `(x[m, 0, h], x[m, 1, h])` turned by angles.
#[kernel]
pub fn rope<M, P, H>(
    x: &Tensor<f32, (M, P, H)>,
    cosine: &Tensor<f32, (M, H)>,
    sine: &Tensor<f32, (M, H)>,
    out: &mut Tensor<f32, (M, P, H)>,
) {
    assert!(P == 2);
    for (m, h) in tile((M, H)) {
        let (a, b) = (x[(m, 0, h)], x[(m, 1, h)]);
        out[(m, 0, h)] = a * cosine[(m, h)] - b * sine[(m, h)];
        out[(m, 1, h)] = b * cosine[(m, h)] + a * sine[(m, h)];
    }
}

/// `ln Σ exp(x) − x[target]` of each row.
#[kernel]
pub fn cross_entropy<M, V>(logits: &Tensor<f32, (M, V)>, targets: &Tensor<i32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let row = logits[(m, ..)];
        let peak = row.max(V);
        out[m] = ln(exp(row - peak).sum(V)) + peak - logits[(m, targets[m])];
    }
}

/// `x · wᵀ`: activations in f32, weights in a half type.
#[kernel]
pub fn matmul_half<T: Float, M, N, K>(
    x: &Tensor<f32, (M, K)>,
    w: &Tensor<T, (N, K)>,
    out: &mut Tensor<f32, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc;
    }
}

/// `x · wᵀ`, exact.
#[kernel]
pub fn matmul_int8<M, N, K>(x: &Tensor<i8, (M, K)>, w: &Tensor<i8, (N, K)>, out: &mut Tensor<i32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<i32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc;
    }
}

/// `softmax(scale · q kᵀ) v` for each head, with optional causal masking and grouped key and value heads.
#[kernel]
pub fn attention<const CAUSAL: bool, B, H, G, S, L, D>(
    q: &Tensor<f32, (B, H, S, D)>,
    k: &Tensor<f32, (B, G, L, D)>,
    v: &Tensor<f32, (B, G, L, D)>,
    out: &mut Tensor<f32, (B, H, S, D)>,
    scale: f32,
) {
    assert!(H % G == 0 && S <= L && D <= 256);
    for (b, h, s) in (each(B), each(H), tile(S)) {
        let g = h / (H / G);
        let mut peak = full::<f32>(s, f32::NEG_INFINITY);
        let mut total = zeros::<f32>(s);
        let mut acc = zeros::<f32>((s, D));
        let end = if CAUSAL { s.end() + (L - S) } else { L };
        for t in tile(L, 0..end) {
            let mut score = dot(q[(b, h, s, ..)], k[(b, g, t, ..)], D) * scale;
            if CAUSAL {
                score = select(s.index() + (L - S) >= t.index(), score, f32::NEG_INFINITY);
            }
            let next = max(peak, score.max(t));
            let p = exp_sub(score, next);
            let fade = exp_sub(peak, next);
            total = total * fade + p.sum(t);
            acc = acc * fade + dot(p, v[(b, g, t, ..)], t);
            peak = next;
        }
        out[(b, h, s, ..)] = acc / total;
    }
}
