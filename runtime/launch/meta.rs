//! What generated code says about a kernel, and what it gets for a tensor.

use crate::tensor::MAX_RANK;

/// A kernel as its launch needs to know it.
#[derive(Debug)]
pub struct Meta {
    /// Its name.
    pub kernel: &'static str,
    /// The names of its dimensions; `TensorMeta::dims` are indices into this.
    pub dims: &'static [&'static str],
    /// Its tensor parameters, in order.
    pub tensors: &'static [TensorMeta],
    /// Its axes whose block can be tuned.
    pub axes: &'static [AxisMeta],
}

/// One tensor parameter.
#[derive(Debug)]
pub struct TensorMeta {
    /// Its name.
    pub name: &'static str,
    /// Its dimensions, as indices into `Meta::dims`.
    pub dims: &'static [usize],
    /// Whether it is `&mut`.
    pub writable: bool,
    /// Of an output: the kernel may work in place on it. Of an input: each program reads it only where
    /// that program writes, and before. An output may be the same view as an input if both say so.
    pub in_place: bool,
}

/// An axis whose block size is chosen at launch.
#[derive(Debug)]
pub struct AxisMeta {
    /// The config key.
    pub key: &'static str,
    /// Smallest block.
    pub min: i32,
    /// Largest block.
    pub max: i32,
}

/// A tensor as programs see it. Dimensions past the rank are 0.
#[derive(Debug)]
pub struct View<T> {
    /// The element whose index is all zeros.
    pub ptr: *mut T,
    /// Lengths.
    pub dims: [i32; MAX_RANK],
    /// In elements.
    pub strides: [isize; MAX_RANK],
}

impl<T> Clone for View<T> {
    fn clone(&self) -> View<T> {
        *self
    }
}

impl<T> Copy for View<T> {}

// SAFETY: a view is an address and numbers; those who follow the address (programs of a launch, which
// holds the storage's lock) see to it that no two threads write the same element.
unsafe impl<T: Send + Sync> Send for View<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for View<T> {}
