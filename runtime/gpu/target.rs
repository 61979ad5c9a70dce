//! The languages that kernels are written out in.

/// The language of a GPU's compiler: what a kernel's `source` is asked for. Both get the same text; what
/// differs is in the prelude, which a launch puts before it together with its constants.
///
/// ```
/// use tilewright::prelude::*;
///
/// #[kernel]
/// fn double<T: Float, N>(x: &Tensor<T, N>, out: &mut Tensor<T, N>) {
///     for n in tile(N) {
///         let twice = x[n] * 2.0;
///         out[n] = twice.cast();
///     }
/// }
///
/// let text = double::source(Target::Cuda)?;
/// assert!(text.contains("// let twice = x[n] * 2.0;"));
/// assert_eq!(text, double::source(Target::Hip)?);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// CUDA C++, compiled by NVRTC.
    Cuda,
    /// HIP C++, compiled by hipRTC.
    Hip,
}
