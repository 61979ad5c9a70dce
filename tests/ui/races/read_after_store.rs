use tilewright::prelude::*;

#[kernel]
fn twice<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[m] * 2.0;
        out[m] = out[m] + 1.0;
    }
}

fn main() {}
