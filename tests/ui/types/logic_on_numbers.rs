use tilewright::prelude::*;

#[kernel]
fn both<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = select(x[m] && x[m], 1.0, 0.0);
    }
}

fn main() {}
