use tilewright::prelude::*;

#[kernel]
fn clip<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let mut y = x[m];
        if x[m] > 0.0 {
            y = x[m] * 2.0;
        }
        out[m] = y;
    }
}

fn main() {}
