use tilewright::prelude::*;

#[kernel]
fn diagonal<N>(x: &Tensor<f32, N>, out: &mut Tensor<f32, (N, N)>) {
    for n in tile(N) {
        out[(n, n)] = x[n];
    }
}

fn main() {}
