use tilewright::prelude::*;

#[kernel]
fn add<M>(x: &Tensor<f32, M>, y: &Tensor<f64, M>, out: &mut Tensor<f64, M>) {
    for m in tile(M) {
        out[m] = x[m] + y[m];
    }
}

fn main() {}
