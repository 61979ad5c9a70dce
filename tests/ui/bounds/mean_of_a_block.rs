use tilewright::prelude::*;

#[kernel]
fn average<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let mut acc = zeros::<f32>(m);
        for n in tile(N) {
            acc += x[(m, n)].mean(n);
        }
        out[m] = acc;
    }
}

fn main() {}
