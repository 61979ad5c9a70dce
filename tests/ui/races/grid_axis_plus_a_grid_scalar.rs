use tilewright::prelude::*;

#[kernel]
fn shifted<B, M>(x: &Tensor<f32, (B, M)>, out: &mut Tensor<f32, (B, M)>) {
    for (b, m) in (each(B), tile(M)) {
        out[(b, m + b)] = x[(b, m)];
    }
}

fn main() {}
