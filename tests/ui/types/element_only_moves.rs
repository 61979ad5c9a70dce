use tilewright::prelude::*;

#[kernel]
fn double<T: Element, M>(x: &Tensor<T, M>, out: &mut Tensor<T, M>) {
    for m in tile(M) {
        out[m] = x[m] + x[m];
    }
}

fn main() {}
