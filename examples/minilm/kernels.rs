//! Every layer of the network, as kernels.
//!
//! Dimensions: `B` sentences, `S` tokens of the longest one (the others are padded), `E` the width
//! of the hidden state, `H` heads of `D` values each, `M` rows of a matrix that multiplies weights
//! of `N` outputs and `K` inputs (`M` is `B * S`, flattened).

use tilewright::prelude::*;

/// `layer_norm(word[id] + position[s] + kind[0])`, fused: the sum never reaches memory.
#[kernel]
pub fn embed<B, S, V, P, Y, E>(
    ids: &Tensor<i32, (B, S)>,
    word: &Tensor<f32, (V, E)>,
    position: &Tensor<f32, (P, E)>,
    kind: &Tensor<f32, (Y, E)>,
    gain: &Tensor<f32, E>,
    shift: &Tensor<f32, E>,
    out: &mut Tensor<f32, (B, S, E)>,
    epsilon: f32,
) {
    assert!(S <= P);
    for (b, s) in (each(B), tile(S)) {
        let sum = word[(ids[(b, s)], ..)] + position[(s.index(), ..)] + kind[(0, ..)];
        let centred = sum - sum.mean(E);
        let variance = (centred * centred).mean(E);
        out[(b, s, ..)] = centred * rsqrt(variance + epsilon) * gain[..] + shift[..];
    }
}

/// `x · wᵀ + bias`.
#[kernel]
pub fn linear<M, N, K>(
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
        out[(m, n)] = acc + bias[n];
    }
}

/// `gelu(x · wᵀ + bias)`, with the exact (erf) gelu.
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

/// `softmax(scale · q kᵀ) v` for each head, over the first `lengths[b]` tokens: the rest is padding.
/// Queries, keys and values lie side by side in `qkv`, in this order. One pass over the keys; the
/// scores never reach memory. A sentence of length 0 gives 0.
#[kernel]
pub fn attention<B, S, J, H, D>(
    qkv: &Tensor<f32, (B, S, J, H, D)>,
    lengths: &Tensor<i32, B>,
    out: &mut Tensor<f32, (B, S, H, D)>,
    scale: f32,
) {
    assert!(J == 3 && D <= 256);
    for (b, h, s) in (each(B), each(H), tile(S)) {
        let mut peak = full::<f32>(s, f32::NEG_INFINITY);
        let mut total = zeros::<f32>(s);
        let mut acc = zeros::<f32>((s, D));
        for t in tile(S, 0..lengths[b]) {
            let score = dot(qkv[(b, s, 0, h, ..)], qkv[(b, t, 1, h, ..)], D) * scale;
            let next = max(peak, score.max(t));
            let p = exp_sub(score, next);
            let fade = exp_sub(peak, next);
            total = total * fade + p.sum(t);
            acc = acc * fade + dot(p, qkv[(b, t, 2, h, ..)], t);
            peak = next;
        }
        out[(b, s, h, ..)] = select(total > 0.0, acc / total, 0.0);
    }
}

/// `hidden = layer_norm(hidden + update)`, in place.
#[kernel]
pub fn add_norm<M, E>(
    update: &Tensor<f32, (M, E)>,
    gain: &Tensor<f32, E>,
    shift: &Tensor<f32, E>,
    hidden: &mut Tensor<f32, (M, E)>,
    epsilon: f32,
) {
    for m in tile(M) {
        let sum = hidden[(m, ..)] + update[(m, ..)];
        let centred = sum - sum.mean(E);
        let variance = (centred * centred).mean(E);
        hidden[(m, ..)] = centred * rsqrt(variance + epsilon) * gain[..] + shift[..];
    }
}

/// The mean over the first `lengths[b]` tokens; 0 where there are none.
#[kernel]
pub fn mean_pool<B, S, E>(
    hidden: &Tensor<f32, (B, S, E)>,
    lengths: &Tensor<i32, B>,
    out: &mut Tensor<f32, (B, E)>,
) {
    for (b, e) in (each(B), tile(E)) {
        let mut sum = zeros::<f32>(e);
        for s in tile(S, 0..lengths[b]) {
            sum += hidden[(b, s, e)].sum(s);
        }
        out[(b, e)] = sum / max(lengths[b], 1).cast::<f32>();
    }
}

/// Each row divided by its Euclidean length, in place; rows of zeros stay.
#[kernel]
pub fn normalize<B, E>(x: &mut Tensor<f32, (B, E)>) {
    for b in tile(B) {
        let row = x[(b, ..)];
        let length = sqrt((row * row).sum(E));
        x[(b, ..)] = row / max(length, 1e-12);
    }
}
