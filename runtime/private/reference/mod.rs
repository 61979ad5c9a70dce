//! What the generated reference runs over: tiles with named axes, in plain safe Rust.
//!
//! A [`Tile`] holds one lane for every combination of its axes' indices; operations align their
//! operands by axis, so nothing here knows the kernel's shapes beforehand. Tiles have exactly the
//! valid elements (no padding), sums and products of floats are taken in f64 and rounded once, and
//! functions of f32 are computed in f64: none of it shares an algorithm with the vector code that it
//! is compared with.
//!
//! A launch runs twice, with other block sizes and another order of programs; [`Memory`] keeps who
//! wrote and who read every element. See `run`.

mod axes;
mod memory;
mod number;
mod ops;
mod reduce;
mod run;
#[cfg(test)]
mod tests;
mod tile;

pub use axes::Span;
pub use memory::{At, Memory};
pub use number::{Bits, Integer, Number, Real};
pub use ops::*;
pub use reduce::*;
pub use run::{GridLoop, Memories, Program, clamped, run};
pub use tile::{Tile, boolean, float, int, scalar};
