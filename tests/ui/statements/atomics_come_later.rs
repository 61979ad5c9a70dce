use tilewright::prelude::*;

#[kernel]
fn count<M, N>(x: &Tensor<i32, M>, out: &mut Tensor<i32, N>) {
    for m in tile(M) {
        out.atomic_add(x[m], 1);
    }
}

fn main() {}
