//! `#[device]` functions as types: what a kernel calls on whole vectors.
//!
//! `#[device] fn mish(x: f32) -> f32` emits the function and an uninhabited type of the same name with
//! this trait; a kernel's `F: Fn(f32) -> f32` is `F: DeviceFn<(f32,), Out = f32>` to its callers.

use crate::gpu::Function;
use crate::simd::{Lane, Simd};

/// A tuple of scalars, and the same tuple of vectors in an instruction set.
pub trait Lanes {
    /// A vector for each scalar.
    type Of<S: Simd>;
}

impl<A: Lane> Lanes for (A,) {
    type Of<S: Simd> = (A::Of<S>,);
}

impl<A: Lane, B: Lane> Lanes for (A, B) {
    type Of<S: Simd> = (A::Of<S>, B::Of<S>);
}

impl<A: Lane, B: Lane, C: Lane> Lanes for (A, B, C) {
    type Of<S: Simd> = (A::Of<S>, B::Of<S>, C::Of<S>);
}

impl<A: Lane, B: Lane, C: Lane, D: Lane> Lanes for (A, B, C, D) {
    type Of<S: Simd> = (A::Of<S>, B::Of<S>, C::Of<S>, D::Of<S>);
}

/// A `#[device]` function on scalars of the types `Args`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `#[device]` function of the type that this kernel takes",
    label = "not a device function on `{Args}`",
    note = "write `#[device] fn name(x: f32) -> f32 {{ … }}` and pass `name` between `::<` and `>`"
)]
pub trait DeviceFn<Args: Lanes> {
    /// The scalar that it gives.
    type Out: Lane;
    /// Its text for GPUs.
    const GPU: &'static Function;
    /// Lane by lane; on [`One`](crate::simd::One), a scalar.
    fn vector<S: Simd>(args: Args::Of<S>) -> <Self::Out as Lane>::Of<S>;
}
