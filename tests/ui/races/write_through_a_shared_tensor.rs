use tilewright::prelude::*;

#[kernel]
fn zero<M>(x: &Tensor<f32, M>) {
    for m in tile(M) {
        x[m] = zeros::<f32>(m);
    }
}

fn main() {}
