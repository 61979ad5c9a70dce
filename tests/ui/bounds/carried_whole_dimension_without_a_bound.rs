use tilewright::prelude::*;

#[kernel]
fn pool<B, L, D>(x: &Tensor<f32, (B, L, D)>, out: &mut Tensor<f32, (B, D)>) {
    for b in each(B) {
        let mut acc = zeros::<f32>(D);
        for t in tile(L) {
            acc += x[(b, t, ..)].sum(t);
        }
        out[(b, ..)] = acc;
    }
}

fn main() {}
