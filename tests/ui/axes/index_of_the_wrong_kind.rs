use tilewright::prelude::*;

#[kernel]
fn pick<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[(m, 1.5)];
    }
}

fn main() {}
