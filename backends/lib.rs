//! From checked tile IR to text: the reference (scalar Rust) and the CPU (SIMD Rust).

pub mod cpu;
pub mod gpu;
pub mod meta;
pub mod reference;
