//! A variable that changes once a turn counts blocks.
use tilewright::prelude::*;

#[kernel]
fn turns<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>, by: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let (mut count, mut fade, mut sum) = (zeros::<f32>(m), full::<f32>(m, 1.0), zeros::<f32>(m));
        for n in tile(N) {
            count = count + 1.0;
            fade *= 0.5;
            sum = max(sum, 3.0) + x[(m, n)].sum(n);
        }
        out[m] = count + fade;
        by[m] = sum;
    }
}

fn main() {}
