//! Making tensors.

use std::any::Any;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use super::convert::{Number, convert};
use super::{IntoShape, Shape, Storage, Tensor};
use crate::element::Element;
use crate::error::TensorError;

impl<T: Element> Tensor<T> {
    /// From elements in row-major order.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::from_vec((2, 2), vec![1i32, 2, 3, 4])?;
    /// assert_eq!(x.get((1, 0))?, 3);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The number of elements is not the shape's.
    pub fn from_vec(shape: impl IntoShape, elements: Vec<T>) -> Result<Tensor<T>, TensorError> {
        Tensor::from_slice(shape, &elements)
    }

    /// From elements in row-major order, copied.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::from_slice(3, &[1i64, 2, 3])?;
    /// assert_eq!(x.to_vec(), [1, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The number of elements is not the shape's.
    pub fn from_slice(shape: impl IntoShape, elements: &[T]) -> Result<Tensor<T>, TensorError> {
        let shape = shape.into_shape()?;
        if shape.elements()? != elements.len() {
            return Err(TensorError::Length { shape: shape.to_vec(), found: elements.len() });
        }
        let mut tensor = Tensor::allocate(shape)?;
        tensor.write()?.copy_from_slice(elements);
        Ok(tensor)
    }

    /// All elements zero (`false`).
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros((1, 2)).to_vec(), [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// As `Vec::with_capacity` does: the shape has more than 8 dimensions, or more elements than memory
    /// can address. [`Tensor::try_zeros`] gives an error instead.
    #[must_use]
    #[track_caller]
    pub fn zeros(shape: impl IntoShape) -> Tensor<T> {
        Tensor::try_zeros(shape).unwrap_or_else(|error| panic!("{error}"))
    }

    /// All elements zero (`false`), for shapes that come from outside.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert!(Tensor::<f32>::try_zeros((usize::MAX, 2)).is_err());
    /// ```
    ///
    /// # Errors
    /// The shape has more than 8 dimensions, or more elements than memory can address.
    pub fn try_zeros(shape: impl IntoShape) -> Result<Tensor<T>, TensorError> {
        Tensor::allocate(shape.into_shape()?)
    }

    /// All elements `value`.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::full(2, 7i8).to_vec(), [7, 7]);
    /// ```
    ///
    /// # Panics
    /// Like [`Tensor::zeros`].
    #[must_use]
    #[track_caller]
    pub fn full(shape: impl IntoShape, value: T) -> Tensor<T> {
        let mut tensor = Tensor::zeros(shape);
        tensor.fresh().fill(value);
        tensor
    }

    /// Each element from its index.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::from_fn((2, 2), |index| (10 * index[0] + index[1]) as i32);
    /// assert_eq!(x.to_vec(), [0, 1, 10, 11]);
    /// ```
    ///
    /// # Panics
    /// Like [`Tensor::zeros`].
    #[must_use]
    #[track_caller]
    pub fn from_fn(shape: impl IntoShape, mut element: impl FnMut(&[usize]) -> T) -> Tensor<T> {
        let mut tensor = Tensor::zeros(shape);
        let shape = tensor.shape;
        let mut index = shape;
        index.as_mut().fill(0);
        for slot in tensor.fresh() {
            *slot = element(&index);
            advance(index.as_mut(), &shape);
        }
        tensor
    }

    /// Rank 0.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::scalar(2.5f64).get(())?, 2.5);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn scalar(value: T) -> Tensor<T> {
        Tensor::full((), value)
    }

    /// `0, 1, …, length - 1`, as `T` represents them.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::arange(3).to_vec(), [0.0, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// Like [`Tensor::zeros`].
    #[must_use]
    #[track_caller]
    pub fn arange(length: usize) -> Tensor<T> {
        Tensor::from_fn(length, |index| convert(Number::I64(index[0] as i64)))
    }

    /// Over memory of someone else, in row-major order, for reading only: launches and guards that
    /// would write it are refused.
    ///
    /// # Safety
    /// For as long as `owner` lives, `first` is aligned and points to as many initialised, valid
    /// elements as the shape has, in one allocation, and nobody writes them.
    ///
    /// # Errors
    /// The shape has more elements than memory can address.
    pub(crate) unsafe fn from_owner(
        owner: Arc<dyn Any + Send + Sync>,
        first: NonNull<T>,
        shape: impl IntoShape,
    ) -> Result<Tensor<T>, TensorError> {
        let shape = shape.into_shape()?;
        let bytes = bytes::<T>(&shape)?;
        Ok(Tensor::over(Storage::lent(owner, first.cast(), bytes), shape))
    }

    fn allocate(shape: Shape) -> Result<Tensor<T>, TensorError> {
        let too_large = || TensorError::TooLarge { shape: shape.to_vec() };
        let storage = Storage::zeroed(bytes::<T>(&shape)?).ok_or_else(too_large)?;
        Ok(Tensor::over(storage, shape))
    }

    fn over(storage: Storage, shape: Shape) -> Tensor<T> {
        let strides = shape.row_major();
        Tensor { storage: Arc::new(storage), offset: 0, shape, strides, element: PhantomData }
    }

    /// The elements of a tensor that was allocated just now.
    fn fresh(&mut self) -> &mut [T] {
        debug_assert!(Arc::strong_count(&self.storage) == 1 && !self.is_read_only() && self.offset == 0);
        // SAFETY: the storage is this tensor's alone (its only Arc was made by the caller's `zeros`, and
        // `self` is borrowed mutably), it holds `len` elements from offset 0, and zeros are valid.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(), self.len()) }
    }
}

fn bytes<T>(shape: &Shape) -> Result<usize, TensorError> {
    let bytes = shape.elements()?.checked_mul(size_of::<T>());
    let bytes = bytes.filter(|&bytes| isize::try_from(bytes).is_ok());
    bytes.ok_or_else(|| TensorError::TooLarge { shape: shape.to_vec() })
}

/// To the next index in row-major order, from the last one to the first.
pub(super) fn advance(index: &mut [usize], shape: &[usize]) {
    for (position, &length) in index.iter_mut().zip(shape).rev() {
        *position += 1;
        if *position < length {
            return;
        }
        *position = 0;
    }
}
