use tilewright::prelude::*;

#[kernel]
fn biased<M, N>(x: &Tensor<f32, (M, N)>, bias: &Tensor<f32, N>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let mut acc = zeros::<f32>(m);
        for n in tile(N) {
            acc += (x[(m, n)] + bias[..]).sum(n);
        }
        out[m] = acc;
    }
}

fn main() {}
