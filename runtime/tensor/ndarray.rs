//! To and from the arrays of the crate ndarray.

use ndarray::{Array, ArrayBase, ArrayD, Data, Dimension, IxDyn};

use super::Tensor;
use crate::element::Element;
use crate::error::TensorError;

impl<T: Element, D: Dimension> TryFrom<Array<T, D>> for Tensor<T> {
    type Error = TensorError;

    /// Copies the elements, in row-major order.
    fn try_from(array: Array<T, D>) -> Result<Tensor<T>, TensorError> {
        Tensor::try_from(&array)
    }
}

impl<T: Element, S: Data<Elem = T>, D: Dimension> TryFrom<&ArrayBase<S, D>> for Tensor<T> {
    type Error = TensorError;

    /// Copies the elements, in row-major order.
    fn try_from(array: &ArrayBase<S, D>) -> Result<Tensor<T>, TensorError> {
        match array.as_slice() {
            Some(elements) => Tensor::from_slice(array.shape(), elements),
            None => Tensor::from_vec(array.shape(), array.iter().copied().collect()),
        }
    }
}

impl<T: Element> TryFrom<&Tensor<T>> for ArrayD<T> {
    type Error = TensorError;

    /// Copies the elements, in row-major order.
    fn try_from(tensor: &Tensor<T>) -> Result<ArrayD<T>, TensorError> {
        let elements = tensor.try_to_vec()?;
        let found = elements.len();
        ArrayD::from_shape_vec(IxDyn(tensor.shape()), elements)
            .map_err(|_| TensorError::Length { shape: tensor.shape().to_vec(), found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn arrays_of_any_layout_come_and_go() -> Result<(), TensorError> {
        let matrix = array![[1i32, 2, 3], [4, 5, 6]];
        let tensor = Tensor::try_from(&matrix.t())?;
        assert_eq!((tensor.shape(), tensor.to_vec()), (&[3, 2][..], vec![1, 4, 2, 5, 3, 6]));
        assert_eq!(ArrayD::try_from(&tensor.transpose(0, 1)?)?, matrix.clone().into_dyn());
        assert_eq!(Tensor::try_from(matrix)?.len(), 6);
        Ok(())
    }
}
