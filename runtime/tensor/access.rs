//! Reading and writing elements from Rust, under the storage's lock.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use super::create::advance;
use super::{Exclusive, IntoShape, Shape, Shared, Tensor};
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, TensorError};

/// The elements of a contiguous tensor as a slice, for reading. While it lives, nothing else may write
/// the storage.
///
/// ```
/// # use tilewright::prelude::*;
/// let x = Tensor::<i32>::arange(3);
/// assert_eq!(&*x.read()?, [0, 1, 2]);
/// # Ok::<(), Error>(())
/// ```
pub struct Read<'a, T> {
    /// Not a reference: it must not outlive the lock while the guard itself is dropped.
    elements: NonNull<[T]>,
    _lock: Shared<'a>,
    borrow: PhantomData<&'a [T]>,
}

impl<T> Deref for Read<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `Tensor::read` saw to it that these elements exist, and the lock keeps writers out.
        unsafe { self.elements.as_ref() }
    }
}

/// The elements of a contiguous tensor as a slice, for writing. While it lives, nothing else may read
/// or write the storage.
///
/// ```
/// # use tilewright::prelude::*;
/// let mut x = Tensor::<i32>::zeros(3);
/// x.write()?[1] = 5;
/// assert_eq!(x.to_vec(), [0, 5, 0]);
/// # Ok::<(), Error>(())
/// ```
pub struct Write<'a, T> {
    elements: NonNull<[T]>,
    _lock: Exclusive<'a>,
    borrow: PhantomData<&'a mut [T]>,
}

impl<T> Deref for Write<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `Tensor::write` saw to it that these elements exist, and the lock keeps others out.
        unsafe { self.elements.as_ref() }
    }
}

impl<T> DerefMut for Write<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the guard is borrowed alone.
        unsafe { self.elements.as_mut() }
    }
}

/// The elements of a tensor in row-major order; holds the storage for reading.
///
/// ```
/// # use tilewright::prelude::*;
/// let x = Tensor::<i32>::arange(4);
/// assert_eq!(x.iter()?.sum::<i32>(), 6);
/// # Ok::<(), Error>(())
/// ```
pub struct Iter<'a, T> {
    tensor: &'a Tensor<T>,
    index: Shape,
    left: usize,
    _lock: Shared<'a>,
}

impl<T: Element> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let place = self.tensor.place(&self.index);
        advance(self.index.as_mut(), &self.tensor.shape);
        // SAFETY: the index is inside the shape, so the place is an initialised element of the storage;
        // the lock keeps writers out.
        Some(unsafe { place.read() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Element> ExactSizeIterator for Iter<'_, T> {}

impl<T: Element> Tensor<T> {
    /// The elements as a slice, if they are contiguous.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<f32>::zeros((2, 3));
    /// assert_eq!(x.read()?.len(), 6);
    /// assert!(x.transpose(0, 1)?.read().is_err());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The view is not contiguous, or the storage is being written.
    pub fn read(&self) -> Result<Read<'_, T>, TensorError> {
        self.check_contiguous()?;
        let lock = self.storage.shared()?;
        Ok(Read { elements: self.elements(), _lock: lock, borrow: PhantomData })
    }

    /// The elements as a slice to write, if they are contiguous.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let mut x = Tensor::<i32>::zeros(2);
    /// let other = x.clone();
    /// let guard = x.write()?;
    /// assert_eq!(other.get(0), Err(tilewright::TensorError::Busy));
    /// drop(guard);
    /// assert_eq!(other.get(0), Ok(0));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The view is not contiguous or was broadcast, the memory is read-only, or the storage is in use.
    pub fn write(&mut self) -> Result<Write<'_, T>, TensorError> {
        self.check_writable()?;
        self.check_contiguous()?;
        let lock = self.storage.exclusive()?;
        Ok(Write { elements: self.elements(), _lock: lock, borrow: PhantomData })
    }

    /// The elements in row-major order.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<i32>::arange(4).reshape((2, 2))?.transpose(0, 1)?;
    /// assert_eq!(x.iter()?.collect::<Vec<_>>(), [0, 2, 1, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The storage is being written.
    pub fn iter(&self) -> Result<Iter<'_, T>, TensorError> {
        let mut index = self.shape;
        index.as_mut().fill(0);
        Ok(Iter { tensor: self, index, left: self.len(), _lock: self.storage.shared()? })
    }

    /// The elements in row-major order, copied.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<i32>::arange(3).to_vec(), [0, 1, 2]);
    /// ```
    ///
    /// # Panics
    /// The storage is being written: by a guard that is alive, or by a kernel on another thread.
    /// [`Tensor::try_to_vec`] gives an error instead.
    #[must_use]
    #[track_caller]
    pub fn to_vec(&self) -> Vec<T> {
        self.try_to_vec().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The elements in row-major order, copied.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<i32>::arange(3).try_to_vec()?, [0, 1, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The storage is being written.
    pub fn try_to_vec(&self) -> Result<Vec<T>, TensorError> {
        if self.is_contiguous() {
            return Ok(self.read()?.to_vec());
        }
        let mut elements = Vec::with_capacity(self.len());
        self.each(|element| elements.push(element))?;
        Ok(elements)
    }

    /// One element.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<i32>::arange(6).reshape((2, 3))?;
    /// assert_eq!(x.get((1, 2))?, 5);
    /// assert!(x.get((2, 0)).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The index is outside the shape or of another rank, or the storage is being written.
    pub fn get(&self, index: impl IntoShape) -> Result<T, TensorError> {
        let place = self.checked_place(&index.into_shape()?)?;
        let _lock = self.storage.shared()?;
        // SAFETY: the index was checked, and the lock keeps writers out.
        Ok(unsafe { place.read() })
    }

    /// Replaces one element.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let mut x = Tensor::<i32>::zeros((2, 2));
    /// x.set((0, 1), 5)?;
    /// assert_eq!(x.to_vec(), [0, 5, 0, 0]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The index is outside the shape or of another rank, the memory is read-only, or the storage is in
    /// use.
    pub fn set(&mut self, index: impl IntoShape, value: T) -> Result<(), TensorError> {
        let place = self.checked_place(&index.into_shape()?)?;
        let _lock = self.storage.exclusive()?;
        // SAFETY: the index was checked, and the lock keeps all others out.
        unsafe { place.write(value) };
        Ok(())
    }

    /// Sets all elements.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let mut x = Tensor::<i32>::zeros((2, 2));
    /// x.narrow(1, 1, 1)?.fill(7)?;
    /// assert_eq!(x.to_vec(), [0, 7, 0, 7]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The view was broadcast, the memory is read-only, or the storage is in use.
    pub fn fill(&mut self, value: T) -> Result<(), TensorError> {
        self.store(|| value)
    }

    /// Replaces all elements with those of a slice, in row-major order.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let mut x = Tensor::<i32>::zeros((2, 2));
    /// x.copy_from_slice(&[1, 2, 3, 4])?;
    /// assert_eq!(x.to_vec(), [1, 2, 3, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Their numbers differ, the view was broadcast, the memory is read-only, or the storage is in use.
    pub fn copy_from_slice(&mut self, elements: &[T]) -> Result<(), TensorError> {
        if elements.len() != self.len() {
            return Err(TensorError::Length { shape: self.shape.to_vec(), found: elements.len() });
        }
        if self.is_contiguous() {
            self.write()?.copy_from_slice(elements);
            return Ok(());
        }
        let mut elements = elements.iter().copied();
        self.store(|| elements.next().unwrap_or_default())
    }

    /// Replaces all elements with those of a tensor of the same shape, which may be on another device. A GPU's
    /// are replaced after the launches before this.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let mut x = Tensor::<i32>::zeros(3);
    /// x.copy_from(&Tensor::arange(3).flip(0)?)?;
    /// assert_eq!(x.to_vec(), [2, 1, 0]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes differ, both share a storage, the view was broadcast, the memory is read-only, a storage is
    /// in use, or the GPU's driver fails; or, copying from a GPU, a launch met an index outside a tensor: then
    /// nothing is copied.
    pub fn copy_from(&mut self, other: &Tensor<T>) -> Result<(), Error> {
        if self.shape != other.shape {
            let (expected, found) = (self.shape.to_vec(), other.shape.to_vec());
            return Err(TensorError::Shape { expected, found }.into());
        }
        if Arc::ptr_eq(&self.storage, &other.storage) && !self.is_empty() {
            return Err(TensorError::Busy.into());
        }
        match self.storage.gpu() {
            Some(gpu) => self.write_on(gpu, other),
            None => Ok(self.copy_here(&other.to(&Device::cpu())?)?),
        }
    }

    /// As `copy_from`, of the same shape, on the host.
    pub(super) fn copy_here(&mut self, other: &Tensor<T>) -> Result<(), TensorError> {
        let mut elements = other.iter()?;
        self.store(|| elements.next().unwrap_or_default())
    }

    /// A tensor of its own with the same elements, contiguous.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<i32>::zeros(2);
    /// let mut y = x.copy()?;
    /// y.fill(1)?;
    /// assert_eq!(x.to_vec(), [0, 0]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The storage is being written, or the (broadcast) view has more elements than memory.
    pub fn copy(&self) -> Result<Tensor<T>, TensorError> {
        let mut copy = Tensor::try_zeros(self.shape)?;
        if self.is_contiguous() {
            copy.copy_from_slice(&self.read()?)?;
        } else {
            copy.copy_here(self)?;
        }
        Ok(copy)
    }

    /// This view if it is contiguous, else a copy.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<i32>::arange(6).reshape((2, 3))?.transpose(0, 1)?;
    /// assert_eq!(&*x.to_contiguous()?.read()?, [0, 3, 1, 4, 2, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// A copy is needed, and fails like [`Tensor::copy`].
    pub fn to_contiguous(&self) -> Result<Tensor<T>, TensorError> {
        if self.is_contiguous() { Ok(self.clone()) } else { self.copy() }
    }

    /// Hands on each element, in row-major order.
    pub(super) fn each(&self, mut take: impl FnMut(T)) -> Result<(), TensorError> {
        let _lock = self.storage.shared()?;
        // SAFETY: the places are initialised elements of the storage; the lock keeps writers out.
        self.places(|place| take(unsafe { place.read() }));
        Ok(())
    }

    /// Writes each element, in row-major order.
    fn store(&mut self, mut next: impl FnMut() -> T) -> Result<(), TensorError> {
        self.check_writable()?;
        let _lock = self.storage.exclusive()?;
        // SAFETY: the places are elements of the storage; the lock keeps all others out.
        self.places(|place| unsafe { place.write(next()) });
        Ok(())
    }

    /// Where each element is, in row-major order.
    fn places(&self, mut visit: impl FnMut(*mut T)) {
        let (length, stride) = match (self.shape.last(), self.strides.last()) {
            (Some(&length), Some(&stride)) => (length, stride),
            _ => (1, 0),
        };
        let outer = &self.shape[..self.rank().saturating_sub(1)];
        let mut index = self.shape;
        index.as_mut().fill(0);
        for _ in 0..self.len().checked_div(length).unwrap_or(0) {
            let first = self.place(&index[..outer.len()]);
            (0..length.cast_signed()).for_each(|i| visit(first.wrapping_offset(stride.wrapping_mul(i))));
            advance(&mut index.as_mut()[..outer.len()], outer);
        }
    }

    /// The elements of a contiguous tensor: `len` initialised ones side by side, from an aligned place
    /// that is not null even when there are none.
    fn elements(&self) -> NonNull<[T]> {
        debug_assert!(self.is_contiguous());
        let first = NonNull::new(self.pointer()).unwrap_or(NonNull::dangling());
        NonNull::slice_from_raw_parts(first, self.len())
    }

    /// Where an index inside the shape is.
    fn place(&self, index: &[usize]) -> *mut T {
        let steps = index.iter().zip(self.strides.iter());
        let steps = steps.map(|(&position, &stride)| stride.wrapping_mul(position.cast_signed()));
        self.pointer().wrapping_offset(steps.fold(0, isize::wrapping_add))
    }

    fn checked_place(&self, index: &[usize]) -> Result<*mut T, TensorError> {
        let inside = index.iter().zip(self.shape.iter()).all(|(position, length)| position < length);
        if index.len() != self.rank() || !inside {
            return Err(TensorError::Index { index: index.to_vec(), shape: self.shape.to_vec() });
        }
        Ok(self.place(index))
    }

    fn check_contiguous(&self) -> Result<(), TensorError> {
        if self.is_contiguous() {
            return Ok(());
        }
        let (shape, strides) = (self.shape.to_vec(), self.strides.to_vec());
        Err(TensorError::NotContiguous { shape, strides })
    }
}
