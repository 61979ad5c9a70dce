//! Weights: safetensors files, checked before use, and bound to structures.
//!
//! ```no_run
//! use tilewright::prelude::*;
//! use tilewright::weights::Weights;
//!
//! #[derive(Weights)]
//! struct Layer {
//!     #[weight("attention.query.weight", shape = (H, H))]
//!     query: Tensor<f32>,
//!     #[weight("attention.query.bias", shape = H)]
//!     bias: Tensor<f32>,
//! }
//!
//! #[derive(Weights)]
//! #[weights(dims(V, H), ignore = "embeddings.position_ids")]
//! struct Model {
//!     #[weight("embeddings.word_embeddings.weight", shape = (V, H))]
//!     words: Tensor<f32>,
//!     #[weight(prefix = "encoder.layer.{i}.")]
//!     layers: Vec<Layer>,
//!     #[weight("lm_head.weight", shape = (V, H), tied = "embeddings.word_embeddings.weight")]
//!     head: Tensor<f32>,
//! }
//!
//! let model: Model = Weights::open("model/")?.bind()?;
//! # Ok::<(), tilewright::weights::WeightsError>(())
//! ```
//!
//! # Who parses
//! The header is read by a strict reader of our own on serde_json ([`FileFault`] lists what it
//! refuses), not by the safetensors crate's: that one keeps the last of two equal names, skips unknown
//! fields, takes `[0, MAX, MAX]` but not `[MAX, MAX, 0]`, and spends seconds and a gigabyte on a header
//! full of empty tensors. The crate writes ([`save`]), and the tests hold the two readers against each
//! other: what ours takes, the crate takes with the same content.
//!
//! # Mapped files
//! [`Weights::open`] maps files into memory: opening is a matter of the header, tensors borrow from
//! the mapping without a copy where the file aligns them (the common writers do), and processes share
//! the pages. The price: whoever truncates or rewrites a mapped file in place takes the process down
//! with SIGBUS, or changes the weights under it. Replace files by renaming, as [`save`] does; or open
//! with [`Weights::open_copied`], which reads and owes the file nothing afterwards.

mod bind;
mod bytes;
mod dims;
mod dtype;
mod error;
mod header;
mod index;
mod json;
mod nearest;
mod number;
mod open;
mod read;
mod report;
mod save;
pub(crate) mod small;

pub use bind::Bind;
#[doc(hidden)]
pub use bind::{Field, Loader, Nested, Scope, Spec};
#[doc(hidden)]
pub use dims::Dim;
pub use dtype::Dtype;
pub use error::{FileFault, IndexFault, WeightsError};
pub use report::{Problem, Report};
pub use save::{Stored, save, save_with_metadata};
pub use tilewright_macros::Weights;

use crate::device::Device;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The tensors of a checkpoint: one safetensors file, or several with an index.
///
/// Cheap to open: only headers are read. Tensors made from it keep the file mapped.
///
/// ```
/// use tilewright::prelude::*;
/// use tilewright::weights::{Weights, save};
/// let path = std::env::temp_dir().join(format!("weights-{}.safetensors", std::process::id()));
/// save(&path, &[("w", &Tensor::full((2, 3), 1.5f32))])?;
/// let weights = Weights::open(&path)?;
/// assert_eq!(weights.get::<f32>("w")?.shape(), [2, 3]);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), tilewright::weights::WeightsError>(())
/// ```
pub struct Weights {
    path: PathBuf,
    files: Vec<Bytes>,
    /// Invariant: `begin..end` lies in the file, and has the size of dtype and shape.
    places: BTreeMap<String, Place>,
    metadata: BTreeMap<String, String>,
    /// Where tensors go.
    device: Device,
    /// Whether products keep how they lay them out.
    keep_packed: bool,
}

#[derive(Debug)]
struct Place {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    begin: usize,
    end: usize,
}

/// What is known of a stored tensor without reading it.
///
/// ```
/// use tilewright::prelude::*;
/// use tilewright::weights::{Dtype, Weights, save};
/// # let path = std::env::temp_dir().join(format!("info-{}.safetensors", std::process::id()));
/// # save(&path, &[("w", &Tensor::full((2, 3), 1.5f32))])?;
/// for info in Weights::open(&path)?.iter() {
///     assert_eq!((info.name, info.dtype, info.shape, info.bytes), ("w", Dtype::F32, &[2, 3][..], 24));
/// }
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), tilewright::weights::WeightsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its element type as stored.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: &'a [usize],
    /// Its size.
    pub bytes: usize,
}

impl fmt::Debug for Weights {
    /// The path and the names, not the elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights")
            .field("path", &self.path)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl Weights {
    /// Opens a safetensors file, a directory with `model.safetensors.index.json` or
    /// `model.safetensors`, or an index, memory-mapped: see [Mapped files](self#mapped-files) for
    /// what that asks of whoever writes to the file.
    ///
    /// ```
    /// use tilewright::weights::{Weights, WeightsError};
    /// let empty = std::env::temp_dir().join(format!("empty-{}", std::process::id()));
    /// std::fs::create_dir_all(&empty)?;
    /// assert!(matches!(Weights::open(&empty), Err(WeightsError::NothingToOpen { .. })));
    /// # std::fs::remove_dir(&empty)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Everything is checked before the first tensor is given out: see [`FileFault`] and [`IndexFault`].
    pub fn open(path: impl AsRef<Path>) -> Result<Weights, WeightsError> {
        open::open(path.as_ref(), Bytes::map)
    }

    /// As [`Weights::open`], but reads the files into memory: later changes to them do no harm.
    ///
    /// ```no_run
    /// use tilewright::weights::Weights;
    /// let weights = Weights::open_copied("model.safetensors")?;
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn open_copied(path: impl AsRef<Path>) -> Result<Weights, WeightsError> {
        open::open(path.as_ref(), Bytes::read)
    }

    /// One safetensors file that is in memory already (`include_bytes!`); copied, to be aligned.
    ///
    /// ```
    /// use tilewright::weights::Weights;
    /// let mut file = 2u64.to_le_bytes().to_vec();
    /// file.extend(b"{}");
    /// assert!(Weights::from_bytes(file)?.is_empty());
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Weights, WeightsError> {
        open::from_bytes(Path::new("<memory>"), Bytes::copy(bytes.as_ref()))
    }

    /// The same weights, whose tensors will be on `device`: what is read or bound is copied there, straight
    /// from the mapped file.
    ///
    /// ```
    /// use tilewright::{Device, weights::Weights};
    /// let weights = Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?.to(&Device::cpu());
    /// assert!(weights.is_empty());
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    #[must_use]
    pub fn to(self, device: &Device) -> Weights {
        Weights { device: *device, ..self }
    }

    /// The same weights, of which products keep what they lay out: see [`Tensor::keep_packed`](crate::Tensor::keep_packed), which is called for
    /// every tensor that is read or bound. Each keeps its own: read a tensor once, not at every step.
    ///
    /// ```
    /// use tilewright::prelude::*;
    /// use tilewright::weights::{Weights, save};
    /// # let path = std::env::temp_dir().join(format!("keep-{}.safetensors", std::process::id()));
    /// save(&path, &[("w", &Tensor::full((2, 2), 1.5f32))])?;
    /// let weights = Weights::open(&path)?.keep_packed();
    /// assert!(weights.get::<f32>("w")?.is_kept_packed());
    /// # std::fs::remove_file(&path).ok();
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    #[must_use]
    pub fn keep_packed(self) -> Weights {
        Weights { keep_packed: true, ..self }
    }

    /// How many tensors there are.
    ///
    /// ```
    /// # let weights = tilewright::weights::Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
    /// assert_eq!(weights.len(), 0);
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// # let weights = tilewright::weights::Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
    /// assert!(weights.is_empty());
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The names, sorted.
    ///
    /// ```
    /// # let weights = tilewright::weights::Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
    /// assert_eq!(weights.names().next(), None);
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// All tensors, sorted by name.
    ///
    /// ```
    /// # let weights = tilewright::weights::Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
    /// let total: usize = weights.iter().map(|info| info.bytes).sum();
    /// assert_eq!(total, 0);
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Info<'_>> {
        self.places.iter().map(|(name, place)| place.info(name))
    }

    /// What is known of a tensor; `None` if there is none of this name.
    ///
    /// ```
    /// # let weights = tilewright::weights::Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
    /// assert!(weights.info("w").is_none());
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    #[must_use]
    pub fn info(&self, name: &str) -> Option<Info<'_>> {
        self.places.get_key_value(name).map(|(name, place)| place.info(name))
    }

    /// The file's `__metadata__`; of shards, all of theirs.
    ///
    /// ```
    /// # let weights = tilewright::weights::Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
    /// assert_eq!(weights.metadata().get("format"), None);
    /// # Ok::<(), tilewright::weights::WeightsError>(())
    /// ```
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn place(&self, name: &str) -> Result<&Place, WeightsError> {
        self.places.get(name).ok_or_else(|| {
            let nearest = nearest::nearest(name, self.names()).map(str::to_owned);
            WeightsError::UnknownTensor { tensor: name.to_owned(), nearest }
        })
    }
}

impl Place {
    fn info<'a>(&'a self, name: &'a str) -> Info<'a> {
        Info { name, dtype: self.dtype, shape: &self.shape, bytes: self.end - self.begin }
    }
}
