use tilewright::prelude::*;

#[kernel]
fn scatter_rows<M, V, D>(x: &Tensor<f32, (M, D)>, ids: &Tensor<i32, M>, out: &mut Tensor<f32, (V, D)>) {
    for m in tile(M) {
        out[(ids[m], ..)] = x[(m, ..)];
    }
}

fn main() {}
