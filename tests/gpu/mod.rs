//! What every GPU must do, whoever made it: tests/cuda.rs and tests/rocm.rs include this, over the emulated
//! drivers and compilers of tests/emulator where there is no GPU.

mod graphs;
mod kernels;
mod recipes;
mod reports;
mod tensors;

use tilewright::prelude::*;

use super::{PLATFORM, emulator, nth};

type Outcome = Result<(), Error>;

fn device() -> Result<Device, Error> {
    nth(0)
}

/// [`emulator::inside`] for a test of the module `path`.
fn inside(path: &str, name: &str, variables: &[(&str, &str)]) -> bool {
    let module = path.split_once("::").map_or(path, |(_, module)| module);
    emulator::inside(&format!("{module}::{name}"), variables)
}

#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}
