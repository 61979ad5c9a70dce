use tilewright::prelude::*;

#[kernel]
fn smear<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[m];
        out[m + 1] = x[m];
    }
}

fn main() {}
