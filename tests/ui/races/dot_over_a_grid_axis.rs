use tilewright::prelude::*;

#[kernel]
fn gram<M, N>(x: &Tensor<f32, (M, N)>, w: &Tensor<f32, (N, M)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let s = dot(x[(m, n)], x[(m, n)], n);
        out[(m, n)] = x[(m, n)] * s;
    }
}

fn main() {}
