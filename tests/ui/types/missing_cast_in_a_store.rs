use tilewright::prelude::*;

#[kernel]
fn double<T: Float, M>(x: &Tensor<T, M>, out: &mut Tensor<T, M>) {
    for m in tile(M) {
        out[m] = x[m] * 2.0;
    }
}

fn main() {}
