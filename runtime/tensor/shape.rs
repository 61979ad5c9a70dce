//! Shapes: up to 8 lengths, kept inline, and what is accepted as one.

use std::ops::Deref;

use crate::error::TensorError;

/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 8;

/// The lengths of a tensor's dimensions. Derefs to a slice.
///
/// ```
/// use tilewright::tensor::IntoShape;
/// let shape = (2, 3).into_shape()?;
/// assert_eq!(&*shape, [2, 3]);
/// # Ok::<(), tilewright::Error>(())
/// ```
pub type Shape = Inline<usize>;

/// The distance in elements between neighbours along each dimension. Derefs to a slice.
pub(crate) type Strides = Inline<isize>;

/// Up to 8 values without an allocation. Derefs to a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inline<T> {
    values: [T; MAX_RANK],
    rank: usize,
}

impl<T: Copy + Default> Inline<T> {
    /// `None` if there are more than 8.
    pub(crate) fn new(values: &[T]) -> Option<Inline<T>> {
        let mut inline = Inline { values: [T::default(); MAX_RANK], rank: values.len() };
        inline.values.get_mut(..values.len())?.copy_from_slice(values);
        Some(inline)
    }

    /// All 8, past the rank `T::default()` or left over.
    pub(crate) fn array(&self) -> [T; MAX_RANK] {
        self.values
    }

    pub(crate) fn as_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.rank]
    }

    pub(crate) fn swap(&mut self, a: usize, b: usize) {
        self.as_mut().swap(a, b);
    }

    pub(crate) fn remove(&mut self, dimension: usize) {
        self.values[dimension..self.rank].rotate_left(1);
        self.rank -= 1;
        self.values[self.rank] = T::default();
    }

    /// False, and unchanged, if there are 8 already.
    pub(crate) fn insert(&mut self, dimension: usize, value: T) -> bool {
        if self.rank == MAX_RANK {
            return false;
        }
        self.rank += 1;
        self.values[dimension..self.rank].rotate_right(1);
        self.values[dimension] = value;
        true
    }
}

impl<T> Deref for Inline<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.values[..self.rank]
    }
}

impl Shape {
    /// The number of elements, if it fits the address space in `isize::MAX` elements.
    pub(crate) fn elements(&self) -> Result<usize, TensorError> {
        let too_large = || TensorError::TooLarge { shape: self.to_vec() };
        if self.contains(&0) {
            return Ok(0);
        }
        let product = self.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
        product.filter(|&product| isize::try_from(product).is_ok()).ok_or_else(too_large)
    }

    /// Row-major: the last dimension's is 1. Only for shapes whose `elements()` fit.
    pub(crate) fn row_major(&self) -> Strides {
        let mut strides = Strides { values: [0; MAX_RANK], rank: self.rank };
        let mut step = 1isize;
        for (stride, &length) in strides.as_mut().iter_mut().zip(self.iter()).rev() {
            *stride = step;
            step = step.wrapping_mul(length.cast_signed().max(1));
        }
        strides
    }
}

/// What a shape is given as: `()` for rank 0, a `usize` for rank 1, tuples, arrays, slices, `Vec`.
///
/// ```
/// use tilewright::tensor::IntoShape;
/// assert_eq!(&*().into_shape()?, [0usize; 0]);
/// assert_eq!(&*7.into_shape()?, [7]);
/// assert_eq!((2, 3).into_shape()?, [2, 3].into_shape()?);
/// assert_eq!(vec![2, 3].into_shape()?, [2usize, 3].as_slice().into_shape()?);
/// # Ok::<(), tilewright::Error>(())
/// ```
pub trait IntoShape {
    /// The shape.
    ///
    /// # Errors
    /// [`TensorError::RankTooLarge`] beyond 8 dimensions.
    fn into_shape(self) -> Result<Shape, TensorError>;
}

impl IntoShape for &[usize] {
    fn into_shape(self) -> Result<Shape, TensorError> {
        Shape::new(self).ok_or(TensorError::RankTooLarge { rank: self.len() })
    }
}

impl IntoShape for Shape {
    fn into_shape(self) -> Result<Shape, TensorError> {
        Ok(self)
    }
}

impl IntoShape for () {
    fn into_shape(self) -> Result<Shape, TensorError> {
        [].as_slice().into_shape()
    }
}

impl IntoShape for usize {
    fn into_shape(self) -> Result<Shape, TensorError> {
        [self].as_slice().into_shape()
    }
}

impl IntoShape for Vec<usize> {
    fn into_shape(self) -> Result<Shape, TensorError> {
        self.as_slice().into_shape()
    }
}

impl IntoShape for &Vec<usize> {
    fn into_shape(self) -> Result<Shape, TensorError> {
        self.as_slice().into_shape()
    }
}

impl<const RANK: usize> IntoShape for [usize; RANK] {
    fn into_shape(self) -> Result<Shape, TensorError> {
        self.as_slice().into_shape()
    }
}

impl<const RANK: usize> IntoShape for &[usize; RANK] {
    fn into_shape(self) -> Result<Shape, TensorError> {
        self.as_slice().into_shape()
    }
}

macro_rules! tuples {
    ($(($($length:ident: $ty:ty),+))+) => {$(
        impl IntoShape for ($($ty,)+) {
            fn into_shape(self) -> Result<Shape, TensorError> {
                let ($($length,)+) = self;
                [$($length),+].as_slice().into_shape()
            }
        }
    )+};
}

tuples! {
    (a: usize)
    (a: usize, b: usize)
    (a: usize, b: usize, c: usize)
    (a: usize, b: usize, c: usize, d: usize)
    (a: usize, b: usize, c: usize, d: usize, e: usize)
    (a: usize, b: usize, c: usize, d: usize, e: usize, f: usize)
    (a: usize, b: usize, c: usize, d: usize, e: usize, f: usize, g: usize)
    (a: usize, b: usize, c: usize, d: usize, e: usize, f: usize, g: usize, h: usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_major_strides_end_in_one() -> Result<(), TensorError> {
        assert_eq!(&*(2, 3, 4).into_shape()?.row_major(), [12, 4, 1]);
        assert_eq!(&*(2, 0, 4).into_shape()?.row_major(), [4, 4, 1]);
        assert_eq!(().into_shape()?.row_major().len(), 0);
        Ok(())
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert_eq!([1; 9].into_shape(), Err(TensorError::RankTooLarge { rank: 9 }));
        let elements = |shape: &[usize]| shape.into_shape().and_then(|shape| shape.elements());
        assert!(matches!(elements(&[usize::MAX, 2]), Err(TensorError::TooLarge { .. })));
        assert!(matches!(elements(&[1 << 32, 1 << 31]), Err(TensorError::TooLarge { .. })));
        assert_eq!(elements(&[usize::MAX, 2, 0]), Ok(0));
        assert_eq!(elements(&[]), Ok(1));
    }

    #[test]
    fn inline_inserts_and_removes() -> Result<(), TensorError> {
        let mut shape = (2, 3, 4).into_shape()?;
        shape.remove(1);
        assert_eq!(&*shape, [2, 4]);
        assert!(shape.insert(2, 9) && shape.insert(0, 7));
        assert_eq!(&*shape, [7, 2, 4, 9]);
        assert!(!([1; 8].into_shape()?).insert(3, 1));
        Ok(())
    }
}
