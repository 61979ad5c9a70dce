//! What a file with kernels imports.
//!
//! ```
//! use tilewright::prelude::*;
//! let x = Tensor::<f32>::zeros((2, 3));
//! assert_eq!(x.shape(), [2, 3]);
//! ```

pub use crate::weights::Weights;
pub use crate::{Config, Device, Element, Error, Float, Target, Tensor, bf16, f8e4m3, f8e5m2, f16};
pub use tilewright_macros::{device, kernel, kernels};
