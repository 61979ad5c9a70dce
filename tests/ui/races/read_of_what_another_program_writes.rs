use tilewright::prelude::*;

#[kernel]
fn running<M>(x: &mut Tensor<f32, M>) {
    for m in each(M) {
        x[m] = x[m - 1] + x[m];
    }
}

fn main() {}
