use tilewright::prelude::*;

#[kernel]
fn last<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for (m, n) in (tile(M), each(N)) {
        out[m] = x[(m, n)];
    }
}

fn main() {}
