use tilewright::prelude::*;

#[kernel]
fn spin<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let mut i = 0;
        while i < 3 {
            i += 1;
        }
        out[m] = x[m];
    }
}

fn main() {}
