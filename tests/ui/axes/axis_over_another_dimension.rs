use tilewright::prelude::*;

#[kernel]
fn matmul<M, N, K>(x: &Tensor<f32, (M, K)>, w: &Tensor<f32, (N, K)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(k, n)], k);
        }
        out[(m, n)] = acc;
    }
}

fn main() {}
