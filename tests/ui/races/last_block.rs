//! What a loop over blocks leaves in a variable may not be the last block's alone.
use tilewright::prelude::*;

#[kernel]
fn last<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let mut last = zeros::<f32>(m);
        for n in tile(N) {
            let most = x[(m, n)].max(n);
            last = most * 2.0;
        }
        out[m] = last;
    }
}

#[kernel]
fn hidden<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let (mut last, mut best) = (zeros::<f32>(m), zeros::<f32>(m));
        for n in tile(N) {
            best = max(best, x[(m, n)].max(n));
            last = x[(m, n)].max(n) + best * 0.0;
        }
        out[m] = last;
    }
}

fn main() {}
