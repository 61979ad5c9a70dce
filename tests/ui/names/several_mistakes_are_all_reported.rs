use tilewright::prelude::*;

#[kernel]
fn wrong<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let a = x[(m, ..)].sum(m);
        let b = lo(x[(m, ..)].max(N));
        let c = x[m];
        out[m] = b;
    }
}

fn main() {}
