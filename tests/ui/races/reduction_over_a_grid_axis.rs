use tilewright::prelude::*;

#[kernel]
fn total<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let row = x[(m, n)];
        out[(m, n)] = row / row.sum(n);
    }
}

fn main() {}
