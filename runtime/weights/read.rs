//! From bytes of a file to tensors: borrowed where the file aligns them, else copied.

use super::bytes::Bytes;
use super::number::reader;
use super::{Dtype, Place, Weights, WeightsError};
use crate::element::Element;
use crate::error::Error;
use crate::error::TensorError;
use crate::tensor::Tensor;
use crate::tensor::convert::convert;
use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;

#[cfg(target_endian = "big")]
compile_error!("safetensors files are little-endian, and tensors borrow from them");

impl Weights {
    /// A tensor as stored, without a copy where the file aligns it. It is for reading only (kernels
    /// refuse it as an output; `Tensor::copy` gives one to write), and keeps the file mapped.
    ///
    /// ```
    /// use tilewright::prelude::*;
    /// use tilewright::weights::{Weights, WeightsError, save};
    /// # let path = std::env::temp_dir().join(format!("get-{}.safetensors", std::process::id()));
    /// save(&path, &[("w", &Tensor::full(2, 1.5f32))])?;
    /// let weights = Weights::open(&path)?;
    /// assert_eq!(weights.get::<f32>("w")?.to_vec(), [1.5, 1.5]);
    /// assert!(matches!(weights.get::<f64>("w"), Err(WeightsError::DtypeMismatch { .. })));
    /// # std::fs::remove_file(&path).ok();
    /// # Ok::<(), WeightsError>(())
    /// ```
    ///
    /// # Errors
    /// There is none of this name, it has another element type ([`Weights::convert`] converts), or
    /// more than 8 dimensions; a BOOL tensor holds other bytes than 0 and 1.
    pub fn get<T: Element>(&self, name: &str) -> Result<Tensor<T>, WeightsError> {
        let place = self.place(name)?;
        if Dtype::of::<T>() != Some(place.dtype) {
            let (tensor, stored) = (name.to_owned(), place.dtype);
            return Err(WeightsError::DtypeMismatch { tensor, stored, wanted: T::NAME });
        }
        self.place_tensor(name, self.tensor(name, place)?)
    }

    /// On the device of these weights.
    fn place_tensor<T: Element>(&self, name: &str, tensor: Tensor<T>) -> Result<Tensor<T>, WeightsError> {
        let placed = tensor.to(&self.device);
        if let Ok(tensor) = &placed
            && self.keep_packed
        {
            tensor.keep_packed();
        }
        placed.map_err(|error| {
            let tensor = name.to_owned();
            if let Error::Device(source) = error {
                return WeightsError::Device { tensor, source };
            }
            let source = if let Error::Tensor(source) = error { source } else { TensorError::Busy };
            WeightsError::Tensor { tensor, source }
        })
    }

    /// A tensor converted to `T`: floats to nearest even, also from 8-bit floats; floats to integers
    /// saturate, integers to narrower ones wrap. As [`Weights::get`] if it is stored so.
    ///
    /// ```
    /// use tilewright::prelude::*;
    /// use tilewright::weights::{Weights, save};
    /// # let path = std::env::temp_dir().join(format!("convert-{}.safetensors", std::process::id()));
    /// save(&path, &[("w", &Tensor::full(2, 1.5f32))])?;
    /// let weights = Weights::open(&path)?;
    /// assert_eq!(weights.convert::<f64>("w")?.to_vec(), [1.5, 1.5]);
    /// # std::fs::remove_file(&path).ok();
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Weights::get`]; and U64, complex, 4-bit and 6-bit types are not converted.
    pub fn convert<T: Element>(&self, name: &str) -> Result<Tensor<T>, WeightsError> {
        let place = self.place(name)?;
        if Dtype::of::<T>() == Some(place.dtype) {
            return self.place_tensor(name, self.tensor(name, place)?);
        }
        let Some(read) = reader(place.dtype) else {
            let (tensor, stored) = (name.to_owned(), place.dtype);
            return Err(WeightsError::Unconvertible { tensor, stored, wanted: T::NAME });
        };
        let bytes = self.slice(place);
        if place.dtype == Dtype::Bool {
            check_bools(name, bytes)?;
        }
        let stored = bytes.chunks_exact(place.dtype.bits() / 8).map(read);
        let tensor = filled(&place.shape, stored.map(convert::<T>))
            .map_err(|source| WeightsError::Tensor { tensor: name.to_owned(), source })?;
        self.place_tensor(name, tensor)
    }

    /// The bytes of a tensor as stored: for element types that no [`Tensor`] holds.
    ///
    /// ```
    /// use tilewright::prelude::*;
    /// use tilewright::weights::{Weights, save};
    /// # let path = std::env::temp_dir().join(format!("bytes-{}.safetensors", std::process::id()));
    /// save(&path, &[("w", &Tensor::full(2, 258i16))])?;
    /// assert_eq!(Weights::open(&path)?.bytes("w")?, [2, 1, 2, 1]);
    /// # std::fs::remove_file(&path).ok();
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    ///
    /// # Errors
    /// There is none of this name.
    pub fn bytes(&self, name: &str) -> Result<&[u8], WeightsError> {
        self.place(name).map(|place| self.slice(place))
    }

    fn slice(&self, place: &Place) -> &[u8] {
        // In range: the invariant of `places`.
        &self.files[place.file].as_slice()[place.begin..place.end]
    }

    /// `T` is what is stored.
    fn tensor<T: Element>(&self, name: &str, place: &Place) -> Result<Tensor<T>, WeightsError> {
        debug_assert_eq!(Dtype::of::<T>(), Some(place.dtype));
        let bytes = self.slice(place);
        let aligned = bytes.as_ptr().cast::<T>().is_aligned();
        // A bool must be 0 or 1 for as long as the tensor lives, so those are checked in a copy.
        let tensor = if place.dtype == Dtype::Bool {
            check_bools(name, bytes)?;
            copied(&place.shape, bytes)
        } else if bytes.is_empty() || !aligned {
            copied(&place.shape, bytes)
        } else {
            borrowed(&place.shape, bytes, &self.files[place.file])
        };
        tensor.map_err(|source| WeightsError::Tensor { tensor: name.to_owned(), source })
    }
}

fn borrowed<T: Element>(shape: &[usize], bytes: &[u8], file: &Bytes) -> Result<Tensor<T>, TensorError> {
    let owner: Arc<dyn Any + Send + Sync> = match file {
        Bytes::Mapped(map) => map.clone(),
        Bytes::Read { words, .. } => words.clone(),
    };
    let first = NonNull::from(bytes).cast::<T>();
    // SAFETY: the caller checked the alignment; `bytes` is one slice of the file's memory, has the size
    // of dtype (which is T's) and shape, and stays where it is while `owner` lives; every pattern of
    // its bytes is a T, which is a number here (bools are copied); the memory is behind shared pointers
    // and nobody writes it (for mapped files: see `Bytes::map`).
    unsafe { Tensor::from_owner(owner, first, shape) }
}

/// `bytes` has the size of the shape, and holds valid elements.
fn copied<T: Element>(shape: &[usize], bytes: &[u8]) -> Result<Tensor<T>, TensorError> {
    let mut tensor = Tensor::try_zeros(shape)?;
    {
        let mut elements = tensor.write()?;
        let elements: &mut [T] = &mut elements;
        assert_eq!(size_of_val(elements), bytes.len(), "the size was checked when the file was opened");
        // SAFETY: both sides have `bytes.len()` bytes (just asserted) and do not overlap, since the
        // tensor was allocated just now; the bytes are valid elements (bools were checked by the
        // caller, the other element types take every pattern).
        unsafe { bytes.as_ptr().copy_to_nonoverlapping(elements.as_mut_ptr().cast::<u8>(), bytes.len()) };
    }
    Ok(tensor)
}

/// As many elements as the shape has.
fn filled<T: Element>(shape: &[usize], elements: impl Iterator<Item = T>) -> Result<Tensor<T>, TensorError> {
    let mut tensor = Tensor::try_zeros(shape)?;
    tensor.write()?.iter_mut().zip(elements).for_each(|(slot, element)| *slot = element);
    Ok(tensor)
}

fn check_bools(name: &str, bytes: &[u8]) -> Result<(), WeightsError> {
    match bytes.iter().position(|&byte| byte > 1) {
        Some(index) => Err(WeightsError::NotABool { tensor: name.to_owned(), index, byte: bytes[index] }),
        None => Ok(()),
    }
}
