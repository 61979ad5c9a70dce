use tilewright::prelude::*;

#[kernel]
fn add<M>(x: &Tensor<f32, M>, y: &Tensor<i32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[m] + y[m];
    }
}

fn main() {}
