use tilewright::prelude::*;

#[kernel]
fn count<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<i32, M>) {
    for m in tile(M) {
        let mut acc = zeros::<i32>(m);
        for n in tile(N) {
            acc = x[(m, n)].sum(n);
        }
        out[m] = acc;
    }
}

fn main() {}
