//! Views: the same elements under another shape.

use super::shape::Strides;
use super::{IntoShape, MAX_RANK, Shape, Tensor};
use crate::element::Element;
use crate::error::TensorError;

impl<T: Element> Tensor<T> {
    /// The same elements in row-major order under another shape with as many elements.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<i32>::arange(6).reshape((2, 3))?;
    /// assert_eq!(x.get((1, 0))?, 3);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The numbers of elements differ, or the view is strided in a way that would need a copy:
    /// [`Tensor::to_contiguous`] makes it.
    pub fn reshape(&self, shape: impl IntoShape) -> Result<Tensor<T>, TensorError> {
        let shape = shape.into_shape()?;
        if shape.elements()? != self.len() {
            return Err(TensorError::Length { shape: shape.to_vec(), found: self.len() });
        }
        let strides = if self.is_contiguous() {
            shape.row_major()
        } else {
            let needs_copy =
                || TensorError::ReshapeNeedsCopy { from: self.shape.to_vec(), to: shape.to_vec() };
            regroup(&self.shape, &self.strides, &shape).ok_or_else(needs_copy)?
        };
        Ok(self.with(self.offset, shape, strides))
    }

    /// Exchanges two dimensions.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<i32>::arange(6).reshape((2, 3))?.transpose(0, 1)?;
    /// assert_eq!(x.to_vec(), [0, 3, 1, 4, 2, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn transpose(&self, a: usize, b: usize) -> Result<Tensor<T>, TensorError> {
        self.check_dimension(a)?;
        self.check_dimension(b)?;
        let (mut shape, mut strides) = (self.shape, self.strides);
        shape.swap(a, b);
        strides.swap(a, b);
        Ok(self.with(self.offset, shape, strides))
    }

    /// Reorders the dimensions: dimension `i` of the result is `order[i]` of this.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros((2, 3, 4)).permute(&[2, 0, 1])?.shape(), [4, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// `order` does not name each dimension once.
    pub fn permute(&self, order: &[usize]) -> Result<Tensor<T>, TensorError> {
        let names_each = (0..self.rank()).all(|dimension| order.contains(&dimension));
        if order.len() != self.rank() || !names_each {
            return Err(TensorError::Permutation { order: order.to_vec(), rank: self.rank() });
        }
        let (mut shape, mut strides) = (self.shape, self.strides);
        for (to, &from) in order.iter().enumerate() {
            shape.as_mut()[to] = self.shape[from];
            strides.as_mut()[to] = self.strides[from];
        }
        Ok(self.with(self.offset, shape, strides))
    }

    /// Indices `start .. start + count` of a dimension.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<i32>::arange(6).narrow(0, 2, 3)?.to_vec(), [2, 3, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The range leaves the dimension, or there is no such dimension.
    pub fn narrow(&self, dimension: usize, start: usize, count: usize) -> Result<Tensor<T>, TensorError> {
        self.check_dimension(dimension)?;
        let length = self.shape[dimension];
        if start > length || count > length - start {
            return Err(TensorError::Range { dimension, start, count, length });
        }
        let mut shape = self.shape;
        shape.as_mut()[dimension] = count;
        Ok(self.with(self.moved(dimension, start, shape.contains(&0)), shape, self.strides))
    }

    /// One index of a dimension, which goes away.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<i32>::arange(6).reshape((2, 3))?;
    /// assert_eq!(x.select(0, 1)?.to_vec(), [3, 4, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The index is outside the dimension, or there is no such dimension.
    pub fn select(&self, dimension: usize, index: usize) -> Result<Tensor<T>, TensorError> {
        self.narrow(dimension, index, 1)?.squeeze(dimension)
    }

    /// Removes a dimension of length 1.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros((2, 1, 3)).squeeze(1)?.shape(), [2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Its length is not 1, or there is no such dimension.
    pub fn squeeze(&self, dimension: usize) -> Result<Tensor<T>, TensorError> {
        self.check_dimension(dimension)?;
        if self.shape[dimension] != 1 {
            return Err(TensorError::Squeeze { dimension, length: self.shape[dimension] });
        }
        let (mut shape, mut strides) = (self.shape, self.strides);
        shape.remove(dimension);
        strides.remove(dimension);
        Ok(self.with(self.offset, shape, strides))
    }

    /// Inserts a dimension of length 1 before `dimension`, or at the end.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros((2, 3)).unsqueeze(2)?.shape(), [2, 3, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such place, or there are 8 dimensions already.
    pub fn unsqueeze(&self, dimension: usize) -> Result<Tensor<T>, TensorError> {
        if dimension > self.rank() {
            return Err(TensorError::NoDimension { dimension, rank: self.rank() });
        }
        let (mut shape, mut strides) = (self.shape, self.strides);
        let inner: isize = match (self.shape.get(dimension), self.strides.get(dimension)) {
            (Some(&length), Some(&stride)) => stride.wrapping_mul(length.cast_signed()),
            _ => 1,
        };
        if !(shape.insert(dimension, 1) && strides.insert(dimension, inner)) {
            return Err(TensorError::RankTooLarge { rank: MAX_RANK + 1 });
        }
        Ok(self.with(self.offset, shape, strides))
    }

    /// Repeats the elements along new leading dimensions and along dimensions of length 1, without a
    /// copy (stride 0). Such a view cannot be written.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let row = Tensor::from_vec(2, vec![1i32, 2])?;
    /// assert_eq!(row.broadcast_to((2, 2))?.to_vec(), [1, 2, 1, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension, counted from the last, is neither equal nor 1, or the result has more elements than
    /// an `isize` counts.
    pub fn broadcast_to(&self, shape: impl IntoShape) -> Result<Tensor<T>, TensorError> {
        let shape = shape.into_shape()?;
        shape.elements()?;
        let refused = || TensorError::Broadcast { from: self.shape.to_vec(), to: shape.to_vec() };
        let added = shape.len().checked_sub(self.rank()).ok_or_else(refused)?;
        let mut strides = shape.row_major();
        for (to, stride) in strides.as_mut().iter_mut().enumerate() {
            let from = to.checked_sub(added);
            *stride = match from.map(|from| (self.shape[from], self.strides[from])) {
                Some((length, own)) if length == shape[to] => own,
                None | Some((1, _)) => 0,
                Some(_) => return Err(refused()),
            };
        }
        Ok(self.with(self.offset, shape, strides))
    }

    /// Reverses a dimension.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<i32>::arange(3).flip(0)?.to_vec(), [2, 1, 0]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn flip(&self, dimension: usize) -> Result<Tensor<T>, TensorError> {
        self.check_dimension(dimension)?;
        let last = self.shape[dimension].saturating_sub(1);
        let mut strides = self.strides;
        strides.as_mut()[dimension] = -strides[dimension];
        Ok(self.with(self.moved(dimension, last, self.is_empty()), self.shape, strides))
    }

    fn with(&self, offset: usize, shape: Shape, strides: Strides) -> Tensor<T> {
        Tensor { offset, shape, strides, ..self.clone() }
    }

    /// The offset of index `by` of a dimension; where no element remains, it does not matter.
    fn moved(&self, dimension: usize, by: usize, empty: bool) -> usize {
        if empty {
            return self.offset;
        }
        // `by` is an index of the dimension, so this stays inside the storage.
        self.offset.wrapping_add_signed(self.strides[dimension].wrapping_mul(by.cast_signed()))
    }

    fn check_dimension(&self, dimension: usize) -> Result<(), TensorError> {
        if dimension < self.rank() {
            return Ok(());
        }
        Err(TensorError::NoDimension { dimension, rank: self.rank() })
    }
}

/// The strides of a reshape without a copy, if there are any: both shapes are cut into the smallest
/// groups of equal size, and each group must be one evenly spaced run.
///
/// ```text
/// from (4, 2, 3) strides (6, 3, 1) → groups 4 | 2·3
/// to   (2, 2, 6)                   → groups 2·2 | 6     strides (12, 6, 1)
/// ```
fn regroup(from: &[usize], from_strides: &[isize], to: &Shape) -> Option<Strides> {
    let mut strides = to.row_major();
    let kept = from.iter().zip(from_strides).filter(|&(&length, _)| length != 1);
    let mut lengths = [(1usize, 0isize); MAX_RANK];
    let count = kept.zip(&mut lengths).map(|((&length, &stride), slot)| *slot = (length, stride)).count();
    let (mut old, mut new) = (0, 0);
    while old < count {
        let (mut old_end, mut new_end) = (old + 1, new + 1);
        let (mut old_size, mut new_size) = (lengths[old].0, *to.get(new)?);
        while old_size != new_size {
            if old_size < new_size {
                let (length, stride) = *lengths[..count].get(old_end)?;
                let outer = lengths[old_end - 1].1;
                if outer != stride.wrapping_mul(length.cast_signed()) {
                    return None;
                }
                old_size *= length;
                old_end += 1;
            } else {
                new_size *= to.get(new_end)?;
                new_end += 1;
            }
        }
        let mut step = lengths[old_end - 1].1;
        for dimension in (new..new_end).rev() {
            strides.as_mut()[dimension] = step;
            step = step.wrapping_mul(to[dimension].cast_signed());
        }
        (old, new) = (old_end, new_end);
    }
    Some(strides)
}
