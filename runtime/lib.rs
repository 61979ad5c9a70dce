//! Tensor kernels in Rust: annotate a function, write it in tiles, run it as SIMD code.

extern crate self as tilewright;

pub mod config;
pub mod device;
pub mod element;
pub mod error;
pub mod launch;
pub mod prelude;
#[doc(hidden)]
pub mod private;
pub mod simd;
pub mod tensor;
pub mod weights;
