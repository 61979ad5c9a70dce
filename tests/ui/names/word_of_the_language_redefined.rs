use tilewright::prelude::*;

#[kernel]
fn copy<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let exp = x[m];
        out[m] = exp;
    }
}

fn main() {}
