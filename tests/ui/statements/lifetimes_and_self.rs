use tilewright::prelude::*;

#[kernel]
fn copy<'a, M>(x: &'a Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[m];
    }
}

fn main() {}
