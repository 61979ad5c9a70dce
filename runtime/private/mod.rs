//! All that generated code may name. No part of the public interface.

pub mod cpu;
mod device_fn;
pub mod reference;

pub use self::device_fn::{DeviceFn, Lanes};
pub use crate::config::Config;
pub use crate::element::{Element, Float, Kind};
pub use crate::error::{Error, LaunchError};
pub use crate::explain::Explanation;
pub use crate::launch::{
    Access, AxisMeta, Extent, Factor, Faults, GridAxis, Launch, Meta, Product, Program, Space, Streams,
    TensorMeta, View, Volume, Work,
};
pub use crate::simd::{self, InstructionSet};
pub use crate::tensor::Tensor;
pub use crate::{element, tensor};
pub use crate::{f8e4m3, f8e5m2};
pub use half::{bf16, f16};

/// What one launch would do.
///
/// # Errors
/// The launch's.
pub fn explain(launch: impl FnOnce() -> Result<(), Error>) -> Result<Explanation, Error> {
    let (result, mut explanations) = crate::explain::explain(launch);
    result?;
    Ok(explanations.swap_remove(0))
}

/// What `#[derive(Weights)]` names.
pub mod weights {
    pub use crate::weights::{Bind, Dim, Field, Loader, Nested, Scope, Spec, WeightsError};
}

/// What generated code says about a kernel's GPU text.
pub mod gpu {
    pub use crate::element::Kind;
    pub use crate::gpu::{
        Axis, AxisKind, Copy, Dot, Elem, Function, Kernel, Region, Run, Scalar, Site, recipes,
    };
}
