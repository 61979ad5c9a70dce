//! Tensors: shared storage, shape, strides.
//!
//! A [`Tensor`] is a view: a shape and strides over storage that clones and further views share.
//! Making a view never copies. Every access takes the storage's lock for as long as it lasts, shared
//! to read and alone to write; a lock that is taken refuses with [`TensorError::Busy`], it never waits.

mod access;
pub(crate) mod convert;
mod create;
mod device;
#[cfg(feature = "ndarray")]
mod ndarray;
mod shape;
mod storage;
mod view;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

pub use access::{Iter, Read, Write};
pub use shape::{Inline, IntoShape, MAX_RANK, Shape};
pub(crate) use storage::{ALIGNMENT, Exclusive, Shared, Storage};

use crate::element::Element;
use crate::error::TensorError;
use shape::Strides;

/// An array of elements of one type with up to 8 dimensions.
///
/// `clone()` and the views (`reshape`, `transpose`, `narrow`, …) are cheap and share the elements;
/// [`Tensor::copy`] does not. Kernels take tensors of any strides; writing needs `&mut`.
///
/// ```
/// use tilewright::prelude::*;
/// let x = Tensor::from_vec((2, 3), vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let t = x.transpose(0, 1)?;
/// assert_eq!(t.shape(), [3, 2]);
/// assert_eq!(t.to_vec(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// # Ok::<(), Error>(())
/// ```
pub struct Tensor<T> {
    storage: Arc<Storage>,
    /// In elements, of the element whose index is all zeros.
    offset: usize,
    shape: Shape,
    strides: Strides,
    element: PhantomData<T>,
}

// Invariant: every index inside the shape names, through offset and strides, an initialised element
// inside the storage; an empty tensor names none.

impl<T> Clone for Tensor<T> {
    /// Another view of the same elements.
    fn clone(&self) -> Tensor<T> {
        Tensor { storage: Arc::clone(&self.storage), ..*self }
    }
}

impl<T: Element> Tensor<T> {
    /// The length of each dimension.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros((2, 3)).shape(), [2, 3]);
    /// ```
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The distance in elements between neighbours along each dimension. May be 0 or negative in views.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros((2, 3)).strides(), [3, 1]);
    /// ```
    #[must_use]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// How many dimensions it has.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros((2, 3)).rank(), 2);
    /// ```
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// How many elements it has.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros((2, 3)).len(), 6);
    /// assert_eq!(Tensor::<f32>::zeros(()).len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert!(Tensor::<f32>::zeros((2, 0)).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Whether its elements lie side by side in row-major order.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<f32>::zeros((2, 3));
    /// assert!(x.is_contiguous());
    /// assert!(!x.transpose(0, 1)?.is_contiguous());
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let expected = self.shape.row_major();
        let mut dimensions = self.shape.iter().zip(self.strides.iter().zip(expected.iter()));
        self.is_empty() || dimensions.all(|(&length, (stride, expected))| length == 1 || stride == expected)
    }

    /// Whether the memory is only lent for reading, as that of a memory-mapped file is.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert!(!Tensor::<f32>::zeros(3).is_read_only());
    /// ```
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.storage.is_read_only()
    }

    /// Lets products keep this tensor, and all views of its memory, as they lay it out as their right operand: for
    /// weights, which many launches read and nobody writes. A product that would lay it out for itself then finds
    /// that done, and one of 13 rows or more reads it laid out; so does, on AMD's processors, one row of f32 times a
    /// matrix whose rows are the steps of the sum. It costs memory for every view that products lay
    /// out: as much as the view has, twice that of half types, four times that of floats of 8 bits, half as much again
    /// on matrix units. All together is at most eight times the tensor's memory: then the oldest goes. Whoever writes to
    /// the tensor drops what was kept. Products on GPUs keep nothing.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let w = Tensor::<f32>::zeros((512, 512));
    /// w.keep_packed();
    /// assert!(w.narrow(0, 0, 256)?.is_kept_packed());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn keep_packed(&self) {
        self.storage.kept().want();
    }

    /// Whether [`Tensor::keep_packed`] was called for its memory.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert!(!Tensor::<f32>::zeros(3).is_kept_packed());
    /// ```
    #[must_use]
    pub fn is_kept_packed(&self) -> bool {
        self.storage.kept().is_wanted()
    }

    /// The element whose index is all zeros; dangling if there is none.
    pub(crate) fn pointer(&self) -> *mut T {
        self.storage.base().as_ptr().cast::<T>().wrapping_add(self.offset)
    }

    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    pub(crate) fn shape_array(&self) -> [usize; MAX_RANK] {
        self.shape.array()
    }

    pub(crate) fn strides_array(&self) -> [isize; MAX_RANK] {
        self.strides.array()
    }

    /// Whether no element has two indices. Exact for views that this module makes: they nest, or a
    /// stride is 0.
    pub(crate) fn is_injective(&self) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut dimensions = [(0usize, 0usize); MAX_RANK];
        let lengths = self.strides.iter().zip(self.shape.iter());
        for (slot, (stride, &length)) in dimensions.iter_mut().zip(lengths) {
            *slot = if length == 1 { (0, 1) } else { (stride.unsigned_abs(), length) };
        }
        dimensions.sort_unstable();
        // Each stride must step over all that the smaller ones span.
        let mut span = 0usize;
        for (stride, length) in dimensions.into_iter().filter(|&(_, length)| length > 1) {
            if stride <= span {
                return false;
            }
            span += stride * (length - 1);
        }
        true
    }

    /// Error unless the elements may be written through this view.
    fn check_writable(&self) -> Result<(), TensorError> {
        if self.is_read_only() {
            return Err(TensorError::ReadOnly);
        }
        if !self.is_injective() {
            let (shape, strides) = (self.shape.to_vec(), self.strides.to_vec());
            return Err(TensorError::Overlapping { shape, strides });
        }
        Ok(())
    }
}

/// Elements that `Debug` shows.
const SHOWN: usize = 8;

impl<T: Element> fmt::Debug for Tensor<T> {
    /// The type, the shape and the first elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor<{}>{:?} ", T::NAME, self.shape())?;
        let Ok(elements) = self.iter() else {
            return f.write_str("[in use]");
        };
        let mut list = f.debug_list();
        list.entries(elements.take(SHOWN));
        if self.len() > SHOWN { list.finish_non_exhaustive() } else { list.finish() }
    }
}

#[cfg(test)]
mod tests;
