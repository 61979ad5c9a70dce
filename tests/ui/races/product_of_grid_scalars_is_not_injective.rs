use tilewright::prelude::*;

#[kernel]
fn merge<B, H, R>(x: &Tensor<f32, (B, H)>, out: &mut Tensor<f32, R>) {
    for (b, h) in (each(B), each(H)) {
        out[b * H + h] = x[(b, h)];
    }
}

fn main() {}
