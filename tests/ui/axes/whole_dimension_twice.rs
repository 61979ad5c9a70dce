use tilewright::prelude::*;

#[kernel]
fn square<N>(x: &Tensor<f32, (N, N)>, out: &mut Tensor<f32, N>) {
    for n in tile(N) {
        let all = x[(.., ..)];
        out[n] = x[(n, ..)].sum(N) + all.sum(N);
    }
}

fn main() {}
