//! The layers. `M` images, `K` inputs, `N` outputs.

use tilewright::prelude::*;

/// Pixels of 0 to 16 as brightness of 0 to 1.
#[kernel]
pub fn brightness<M, K>(pixels: &Tensor<u8, (M, K)>, out: &mut Tensor<f32, (M, K)>) {
    for (m, k) in tile((M, K)) {
        out[(m, k)] = pixels[(m, k)].cast::<f32>() / 16.0;
    }
}

/// `x · wᵀ + bias`.
#[kernel]
pub fn linear<T: Float, M, N, K>(
    x: &Tensor<T, (M, K)>,
    w: &Tensor<T, (N, K)>,
    bias: &Tensor<T, N>,
    out: &mut Tensor<T, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = (acc + bias[n]).cast();
    }
}

/// `gelu(x · wᵀ + bias)`: bias and activation while the block of the product is in cache.
#[kernel]
pub fn linear_gelu<T: Float, M, N, K>(
    x: &Tensor<T, (M, K)>,
    w: &Tensor<T, (N, K)>,
    bias: &Tensor<T, N>,
    out: &mut Tensor<T, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = gelu(acc + bias[n]).cast();
    }
}

/// Logits to probabilities.
#[kernel]
pub fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}

/// The most probable class.
#[kernel]
pub fn argmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<i32, M>) {
    for m in tile(M) {
        out[m] = x[(m, ..)].argmax(N);
    }
}
