use tilewright::prelude::*;

#[kernel]
fn running<M, K>(x: &Tensor<f32, (M, K)>, out: &mut Tensor<f32, (M, K)>) {
    for m in tile(M) {
        let mut acc = zeros::<f32>(m);
        for k in tile(K) {
            acc += x[(m, k)].sum(k);
            out[(m, k)] = x[(m, k)] - acc;
        }
    }
}

fn main() {}
