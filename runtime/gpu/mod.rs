//! Kernels on GPUs: from the text that was emitted at build time to a whole translation unit and its launch.
//!
//! The text names constants: how each axis is spread over threads and registers, which accesses move
//! vectors, where in shared memory a tile lies, what the generic types are. A [`Plan`] chooses them from the
//! launch's dimensions and config, and prints them before the text.

mod architecture;
mod blocks;
mod bundle;
mod functions;
mod kernel;
mod launch;
mod maps;
mod plan;
mod recipes;
mod record;
mod spread;
mod target;
mod vectors;

pub use architecture::Architecture;
pub use bundle::Bundle;
pub(crate) use bundle::hash;
pub use kernel::{Axis, AxisKind, Copy, Dot, Elem, Function, Kernel, Region, Site};
pub(crate) use launch::Destination;
pub use launch::{Run, Scalar};
pub use maps::TensorMap;
pub(crate) use plan::{Plan, Problem};
pub use recipes::recipes;
pub(crate) use record::recording;
pub use record::{Unit, record};
pub use target::Target;
pub(crate) use vectors::Memory;

/// The device code that every kernel's text builds on.
pub(crate) const PRELUDE: [&str; 5] = [
    include_str!("prelude/machine.cuh"),
    include_str!("prelude/types.cuh"),
    concat!(include_str!("prelude/amd_math.cuh"), include_str!("prelude/math.cuh")),
    include_str!("prelude/tile.cuh"),
    include_str!("prelude/reduce.cuh"),
];

/// What texts with products of tiles need besides.
pub(crate) const DOT_PRELUDE: [&str; 6] = [
    include_str!("prelude/shared.cuh"),
    include_str!("prelude/ring.cuh"),
    include_str!("prelude/mma.cuh"),
    include_str!("prelude/wgmma.cuh"),
    include_str!("prelude/amd.cuh"),
    include_str!("prelude/dot.cuh"),
];
