use tilewright::prelude::*;

#[kernel]
fn leak<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let mut y = x[m];
        if m.len() > 16 {
            y = y * 2.0;
        }
        out[m] = y;
    }
}

fn main() {}
