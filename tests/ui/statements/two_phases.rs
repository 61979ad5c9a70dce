use tilewright::prelude::*;

#[kernel]
fn phases<M>(x: &Tensor<f32, M>, y: &mut Tensor<f32, M>, z: &mut Tensor<f32, M>) {
    for m in tile(M) {
        y[m] = x[m];
    }
    for m in tile(M) {
        z[m] = x[m];
    }
}

fn main() {}
