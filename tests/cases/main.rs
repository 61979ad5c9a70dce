//! Every operation, on every element type and instruction set, against the reference: ragged sizes,
//! strided inputs, special values, several block sizes. See `check` for how they are compared.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::too_many_arguments,
    clippy::excessive_precision,
    reason = "tests"
)]

mod biases;
mod casts;
mod check;
mod data;
mod dots;
mod elementwise;
mod emulated;
mod errors;
mod exponentials;
mod golden;
mod memory;
mod models;
mod reductions;
mod variances;
