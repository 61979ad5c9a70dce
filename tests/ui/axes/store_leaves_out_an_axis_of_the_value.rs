use tilewright::prelude::*;

#[kernel]
fn rows<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[(m, ..)];
    }
}

fn main() {}
