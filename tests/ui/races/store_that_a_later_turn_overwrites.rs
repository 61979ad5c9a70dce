use tilewright::prelude::*;

#[kernel]
fn peak<M, K>(x: &Tensor<f32, (M, K)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        for k in tile(K) {
            out[m] = x[(m, k)].max(k);
        }
    }
}

fn main() {}
