use tilewright::prelude::*;

#[kernel]
fn linear<M, N, K>(x: &Tensor<f32, (M, K)>, w: &Tensor<f32, (N, K)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = dot(x[(m, ..)], w[(n, ..)], K);
    }
}

fn main() {}
