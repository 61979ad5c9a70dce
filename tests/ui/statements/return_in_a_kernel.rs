use tilewright::prelude::*;

#[kernel]
fn early<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        return;
    }
}

fn main() {}
