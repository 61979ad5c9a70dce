use tilewright::prelude::*;

#[kernel]
fn soften<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = sigmiod(x[m]);
    }
}

fn main() {}
