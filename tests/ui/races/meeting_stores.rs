//! Two stores apart by an offset meet in different turns; those apart by a whole range do not.
use tilewright::prelude::*;

#[kernel]
fn meeting<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in each(M) {
        for n in tile(N, 0..N - 1) {
            out[(m, n)] = x[(m, n)];
            out[(m, n + 1)] = x[(m, n)] * 2.0;
        }
    }
}

#[kernel]
fn halves<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in each(M) {
        for n in tile(N, 0..N / 2) {
            out[(m, n)] = x[(m, n)];
            out[(m, n + N / 2)] = x[(m, n)] * 2.0;
        }
    }
}

#[kernel]
fn turned<M, N>(x: &Tensor<f32, (M, N, N)>, out: &mut Tensor<f32, (M, N, N)>) {
    for m in each(M) {
        for (n, j) in (tile(N), each(N)) {
            out[(m, n, j)] = x[(m, n, j)];
            out[(m, j, n)] = x[(m, n, j)] * 2.0;
        }
    }
}

fn main() {}
