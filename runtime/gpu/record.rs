//! Keeping the text of launches instead of running them: for compiling ahead of time, and for tests.

use std::cell::RefCell;

use super::{Architecture, TensorMap};

/// The text of one launch, complete: what a compiler takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The entry point.
    pub kernel: String,
    /// What it is for.
    pub architecture: Architecture,
    /// The translation unit.
    pub text: String,
    /// What the copy engine reads: each is 128 bytes at the end of the arguments, 0 so far.
    pub maps: Vec<TensorMap>,
    /// Threads of a program.
    pub threads: u32,
    /// Dynamic shared memory of a program, in bytes.
    pub shared: u32,
    /// Programs of the grid.
    pub programs: u32,
    /// The argument block, with the addresses of the tensors at the call.
    pub arguments: Vec<u8>,
}

/// What a recording has so far.
struct Kept {
    architecture: Architecture,
    units: Vec<Unit>,
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Runs `calls` so that the kernels launched by it on this thread compute nothing, and gives their texts
/// for an architecture, in order. Tensors may live anywhere; their alignment, strides and lengths count.
///
/// ```
/// use tilewright::prelude::*;
///
/// #[kernel]
/// fn double<T: Float, N>(x: &Tensor<T, N>, out: &mut Tensor<T, N>) {
///     for n in tile(N) {
///         out[n] = (x[n] * 2.0).cast();
///     }
/// }
///
/// let x = Tensor::from_vec(100, vec![1.0f32; 100])?;
/// let mut out = Tensor::zeros(100);
/// let (result, units) = tilewright::record("sm_90a".parse()?, || double(&x, &mut out));
/// result?;
/// assert!(units[0].text.contains("double"));
/// # Ok::<(), Error>(())
/// ```
pub fn record<R>(architecture: Architecture, calls: impl FnOnce() -> R) -> (R, Vec<Unit>) {
    let before = KEPT.replace(Some(Kept { architecture, units: Vec::new() }));
    let result = calls();
    let units = KEPT.replace(before).map_or(Vec::new(), |kept| kept.units);
    (result, units)
}

/// What this thread records for.
pub(crate) fn recording() -> Option<Architecture> {
    KEPT.with_borrow(|kept| Some(kept.as_ref()?.architecture))
}

pub(super) fn keep(unit: Unit) {
    KEPT.with_borrow_mut(|kept| {
        if let Some(kept) = kept {
            kept.units.push(unit);
        }
    });
}
