//! What every GPU must do, whoever made it: tests/cuda.rs and tests/rocm.rs include this, over the emulated
//! drivers and compilers of tests/emulator where there is no GPU. `TILEWRIGHT_DEVICE` names a real one; what asks
//! for something that only the emulator has is skipped there.

mod graphs;
mod kernels;
mod recipes;
mod reports;
mod tensors;

use tilewright::prelude::*;

use super::{PLATFORM, emulator, nth};

type Outcome = Result<(), Error>;

fn device() -> Result<Device, Error> {
    emulator::real_device().map_or_else(|| nth(0), Ok)
}

/// Where a test of the module `path` runs: on the device of `TILEWRIGHT_DEVICE`, or else as
/// [`emulator::inside`] says.
fn inside(path: &str, name: &str, variables: &[(&str, &str)]) -> bool {
    /// How often and on what the emulator runs a test; a real GPU is what it is.
    const KINDS: [&str; 3] = ["TW_EMULATOR_SEED", "TW_EMULATOR_ARCH", "TW_EMULATOR_MULTIPROCESSORS"];
    if let Some(device) = emulator::real_device() {
        let needed = variables.iter().find(|(variable, _)| !KINDS.contains(variable));
        if let Some((variable, value)) = needed {
            println!("skipped: {name} needs an emulated GPU with {variable}={value}, not {device:?}");
        }
        return needed.is_none();
    }
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
