//! What is timed on a GPU: kernels as a user writes them.

use tilewright::prelude::*;

/// `a · b`.
#[kernel]
pub fn matmul<T: Float, M, N, K>(a: &Tensor<T, (M, K)>, b: &Tensor<T, (K, N)>, out: &mut Tensor<T, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(a[(m, k)], b[(k, n)], k);
        }
        out[(m, n)] = acc.cast();
    }
}

/// `a · wᵀ`, with what is contracted innermost on both sides, as matrix cores take bytes.
#[kernel]
pub fn matmul_rows<T: Float, U: Float, M, N, K>(
    a: &Tensor<T, (M, K)>,
    w: &Tensor<T, (N, K)>,
    out: &mut Tensor<U, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(a[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc.cast();
    }
}

/// Over the last dimension.
#[kernel]
pub fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}

/// Over the last dimension, with gain and shift.
#[kernel]
pub fn layer_norm<T: Float, M, N>(
    x: &Tensor<T, (M, N)>,
    gain: &Tensor<T, N>,
    shift: &Tensor<T, N>,
    out: &mut Tensor<T, (M, N)>,
    epsilon: f32,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let centred = row - row.mean(N);
        let variance = (centred * centred).mean(N);
        out[(m, ..)] = (centred * rsqrt(variance + epsilon) * gain[..] + shift[..]).cast();
    }
}

/// Over the last dimension, with gain.
#[kernel]
pub fn rms_norm<T: Float, M, N>(
    x: &Tensor<T, (M, N)>,
    gain: &Tensor<T, N>,
    out: &mut Tensor<T, (M, N)>,
    epsilon: f32,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        out[(m, ..)] = (row * rsqrt((row * row).mean(N) + epsilon) * gain[..]).cast();
    }
}

/// `silu(a) · b`.
#[kernel]
pub fn swiglu<T: Float, M, N>(a: &Tensor<T, (M, N)>, b: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = (silu(a[(m, n)]) * b[(m, n)]).cast();
    }
}

/// Pairs (x[m, 0, h], x[m, 1, h]) turned by angles.
#[kernel]
pub fn rope<T: Float, M, P, H>(
    x: &Tensor<T, (M, P, H)>,
    cosine: &Tensor<f32, (M, H)>,
    sine: &Tensor<f32, (M, H)>,
    out: &mut Tensor<T, (M, P, H)>,
) {
    for (m, h) in tile((M, H)) {
        let (a, b) = (x[(m, 0, h)], x[(m, 1, h)]);
        out[(m, 0, h)] = (a * cosine[(m, h)] - b * sine[(m, h)]).cast();
        out[(m, 1, h)] = (b * cosine[(m, h)] + a * sine[(m, h)]).cast();
    }
}

/// `log Σ exp(x) − x[target]` of each row.
#[kernel]
pub fn cross_entropy<T: Float, M, V>(
    logits: &Tensor<T, (M, V)>,
    targets: &Tensor<i32, M>,
    out: &mut Tensor<f32, M>,
) {
    for m in tile(M) {
        let row = logits[(m, ..)];
        let peak = row.max(V);
        let target = logits[(m, targets[m])];
        out[m] = ln(exp(row - peak).sum(V)) + peak - target;
    }
}

/// What memory allows.
#[kernel]
pub fn copy<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = x[(m, n)];
    }
}

/// `softmax(scale · q kᵀ) v` for each batch and head.
#[kernel]
pub fn attention<T: Float, const CAUSAL: bool, B, H, S, L, D>(
    q: &Tensor<T, (B, H, S, D)>,
    k: &Tensor<T, (B, H, L, D)>,
    v: &Tensor<T, (B, H, L, D)>,
    out: &mut Tensor<T, (B, H, S, D)>,
    scale: f32,
) {
    assert!(S <= L && D <= 256);
    for (b, h, s) in (each(B), each(H), tile(S)) {
        let mut peak = full::<f32>(s, f32::NEG_INFINITY);
        let mut total = zeros::<f32>(s);
        let mut acc = zeros::<f32>((s, D));
        let end = if CAUSAL { s.end() + (L - S) } else { L };
        for t in tile(L, 0..end) {
            let mut score = dot(q[(b, h, s, ..)], k[(b, h, t, ..)], D) * scale;
            if CAUSAL {
                score = select(s.index() + (L - S) >= t.index(), score, f32::NEG_INFINITY);
            }
            let next = max(peak, score.max(t));
            let p = exp_sub(score, next);
            let fade = exp_sub(peak, next);
            total = total * fade + p.sum(t);
            acc = acc * fade + dot(p.cast::<T>(), v[(b, h, t, ..)], t);
            peak = next;
        }
        out[(b, h, s, ..)] = (acc / total).cast();
    }
}
