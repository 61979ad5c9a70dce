use tilewright::prelude::*;

#[kernel]
fn difference<M, N>(x: &Tensor<f32, M>, y: &Tensor<f32, N>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = x[m] - y[n];
    }
}

fn main() {}
