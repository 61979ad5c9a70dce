use tilewright::prelude::*;

#[kernel]
fn scale<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>, factor: f32) {
    for m in tile(M) {
        out[m] = x[m] * facter;
    }
}

fn main() {}
