//! Writing safetensors files: the safetensors crate serialises, a rename makes it atomic.

use super::{Dtype, WeightsError};
use crate::element::Element;
use crate::tensor::Tensor;
use safetensors::tensor::{Dtype as Written, View, serialize_to_file};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What can be saved: a [`Tensor`] of any element type.
///
/// ```
/// use tilewright::prelude::*;
/// use tilewright::weights::Stored;
/// let tensors: [(&str, &dyn Stored); 2] = [("a", &Tensor::scalar(1.0f32)), ("b", &Tensor::scalar(1i64))];
/// assert_eq!(tensors.len(), 2);
/// ```
pub trait Stored: sealed::Bytes {}

impl<T: Element> Stored for Tensor<T> {}

mod sealed {
    use super::*;

    pub trait Bytes {
        fn dtype(&self) -> Option<Dtype>;
        fn shape(&self) -> &[usize];
        /// In row-major order.
        fn bytes(&self) -> Result<Vec<u8>, crate::error::TensorError>;
    }

    impl<T: Element> Bytes for Tensor<T> {
        fn dtype(&self) -> Option<Dtype> {
            Dtype::of::<T>()
        }
        fn shape(&self) -> &[usize] {
            Tensor::shape(self)
        }
        fn bytes(&self) -> Result<Vec<u8>, crate::error::TensorError> {
            let elements = self.try_to_vec()?;
            let length = size_of_val(elements.as_slice());
            // SAFETY: element types are numbers without padding, so their memory is `length`
            // initialised bytes; the vector lives until the bytes are copied.
            Ok(unsafe { std::slice::from_raw_parts(elements.as_ptr().cast::<u8>(), length) }.to_vec())
        }
    }
}

/// Writes a safetensors file. The file appears complete or not at all: it is written beside its
/// place and renamed, so whoever has mapped the old one keeps it.
///
/// ```
/// use tilewright::prelude::*;
/// use tilewright::weights::{Weights, save};
/// # let path = std::env::temp_dir().join(format!("save-{}.safetensors", std::process::id()));
/// save(&path, &[("w", &Tensor::full((2, 3), 0.5f32)), ("n", &Tensor::scalar(7i64))])?;
/// assert_eq!(Weights::open(&path)?.names().collect::<Vec<_>>(), ["n", "w"]);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), tilewright::weights::WeightsError>(())
/// ```
///
/// # Errors
/// A name stands there twice, a tensor is being written by someone, or the file cannot be written.
pub fn save(path: impl AsRef<Path>, tensors: &[(&str, &dyn Stored)]) -> Result<(), WeightsError> {
    write(path.as_ref(), tensors, None)
}

/// As [`save`], with `__metadata__` ([`Weights::metadata`](super::Weights::metadata) reads it).
///
/// ```
/// use tilewright::prelude::*;
/// use tilewright::weights::{Weights, save_with_metadata};
/// # let path = std::env::temp_dir().join(format!("meta-{}.safetensors", std::process::id()));
/// save_with_metadata(&path, &[("w", &Tensor::scalar(0.5f32))], &[("format", "pt")])?;
/// assert_eq!(Weights::open(&path)?.metadata()["format"], "pt");
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), tilewright::weights::WeightsError>(())
/// ```
///
/// # Errors
/// As [`save`].
pub fn save_with_metadata(
    path: impl AsRef<Path>,
    tensors: &[(&str, &dyn Stored)],
    metadata: &[(&str, &str)],
) -> Result<(), WeightsError> {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    write(path.as_ref(), tensors, Some(metadata.collect()))
}

/// One tensor as the crate wants it.
struct Prepared {
    dtype: Written,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Prepared {
    fn dtype(&self) -> Written {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn write(
    path: &Path,
    tensors: &[(&str, &dyn Stored)],
    metadata: Option<HashMap<String, String>>,
) -> Result<(), WeightsError> {
    let mut names: Vec<&str> = tensors.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(WeightsError::SavedTwice { tensor: pair[0].to_owned() });
    }
    if names.contains(&"__metadata__") {
        let message = "`__metadata__` is no name for a tensor; choose another".to_owned();
        return Err(WeightsError::Save { path: path.to_owned(), message });
    }
    let prepared = tensors.iter().map(|(name, tensor)| Ok((*name, prepare(name, *tensor)?)));
    let prepared = prepared.collect::<Result<Vec<_>, WeightsError>>()?;
    let beside = beside(path);
    let written = write_beside(&beside, prepared, metadata);
    let renamed = written.and_then(|()| {
        std::fs::rename(&beside, path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })
    });
    if renamed.is_err() {
        std::fs::remove_file(&beside).ok();
    }
    renamed
}

fn prepare(name: &str, tensor: &dyn Stored) -> Result<Prepared, WeightsError> {
    let bytes = tensor.bytes().map_err(|source| WeightsError::Tensor { tensor: name.to_owned(), source })?;
    let dtype = tensor.dtype().and_then(written).ok_or_else(|| WeightsError::Save {
        path: PathBuf::new(),
        message: format!("the element type of {name:?} cannot be stored; cast it"),
    })?;
    Ok(Prepared { dtype, shape: tensor.shape().to_vec(), bytes })
}

/// The crate's names for the element types that tensors have.
fn written(dtype: Dtype) -> Option<Written> {
    Some(match dtype {
        Dtype::Bool => Written::BOOL,
        Dtype::U8 => Written::U8,
        Dtype::I8 => Written::I8,
        Dtype::I16 => Written::I16,
        Dtype::U16 => Written::U16,
        Dtype::F16 => Written::F16,
        Dtype::Bf16 => Written::BF16,
        Dtype::I32 => Written::I32,
        Dtype::U32 => Written::U32,
        Dtype::F32 => Written::F32,
        Dtype::F64 => Written::F64,
        Dtype::I64 => Written::I64,
        Dtype::F8E4m3 => Written::F8_E4M3,
        Dtype::F8E5m2 => Written::F8_E5M2,
        Dtype::U64 => Written::U64,
        Dtype::F4
        | Dtype::F6E2m3
        | Dtype::F6E3m2
        | Dtype::F8E8m0
        | Dtype::F8E4m3fnuz
        | Dtype::F8E5m2fnuz
        | Dtype::C64 => return None,
    })
}

fn beside(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{count}.part", std::process::id()))
}

/// The crate's writer leaves files that only their owner may read; a file made in the ordinary way
/// lends its permissions.
fn write_beside(
    beside: &Path,
    tensors: Vec<(&str, Prepared)>,
    metadata: Option<HashMap<String, String>>,
) -> Result<(), WeightsError> {
    let io = |source| WeightsError::Io { path: beside.to_owned(), source };
    let ordinary = std::fs::File::create_new(beside).and_then(|f| f.metadata()).map_err(io)?;
    serialize_to_file(tensors, metadata, beside).map_err(|error| {
        if let safetensors::SafeTensorError::IoError(source) = error {
            return io(source);
        }
        WeightsError::Save { path: beside.to_owned(), message: error.to_string() }
    })?;
    std::fs::set_permissions(beside, ordinary.permissions()).map_err(io)?;
    std::fs::File::open(beside).and_then(|f| f.sync_all()).map_err(io)
}
