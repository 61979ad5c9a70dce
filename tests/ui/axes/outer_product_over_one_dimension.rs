use tilewright::prelude::*;

#[kernel]
fn difference<N>(x: &Tensor<f32, N>, out: &mut Tensor<f32, (N, N)>) {
    for (i, j) in tile((N, N)) {
        out[(i, j)] = x[i] - x[j];
    }
}

fn main() {}
