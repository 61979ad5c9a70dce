use tilewright::prelude::*;

#[kernel]
fn pick<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>, mode: i32) {
    for m in tile(M) {
        out[m] = match mode {
            0 => x[m],
            _ => -x[m],
        };
    }
}

fn main() {}
