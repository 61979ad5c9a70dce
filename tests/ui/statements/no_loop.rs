use tilewright::prelude::*;

#[kernel]
fn nothing<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    let n = M + 1;
}

fn main() {}
