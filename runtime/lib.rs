//! Tensor kernels in Rust: annotate a function, write it in tiles, run it as SIMD code.

extern crate self as tilewright;

pub mod config;
pub mod device;
pub mod element;
pub mod error;
pub(crate) mod explain;
mod f8;
pub(crate) mod gpu;
pub(crate) mod launch;
mod pages;
pub mod prelude;
#[doc(hidden)]
pub mod private;
pub mod simd;
pub mod tensor;
pub mod weights;

pub use config::Config;
pub use device::{Device, Graph, Platform, set_threads};
pub use element::{Element, Float};
pub use error::{ConfigError, DeviceError, Error, LaunchError, TensorError};
pub use explain::{Explanation, Time, explain};
pub use f8::{f8e4m3, f8e5m2};
pub use gpu::{Architecture, Bundle, Target, TensorMap, Unit, record};
pub use half::{bf16, f16};
pub use tensor::Tensor;
pub use weights::{Weights, WeightsError};
