use tilewright::prelude::*;

#[kernel]
fn sums<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in tile(M) {
        out[(m, ..)] = cumsum(x[(m, ..)], N);
    }
}

fn main() {}
