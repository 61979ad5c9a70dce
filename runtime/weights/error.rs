//! What opening, reading, binding and saving weights can report. Every fault is a variant with its
//! values in fields; `Display` says what to do.

use super::Dtype;
use super::report::Report;
use crate::error::{DeviceError, TensorError};
use std::fmt;
use std::path::PathBuf;

/// What can go wrong with weights.
///
/// ```
/// use tilewright::weights::{Weights, WeightsError};
/// let error = Weights::open("/no/such/file.safetensors").err();
/// assert!(matches!(error, Some(WeightsError::Io { .. })));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WeightsError {
    /// The operating system refused.
    Io {
        /// What was opened, read or written.
        path: PathBuf,
        /// Its answer.
        source: std::io::Error,
    },
    /// A directory holds neither an index nor `model.safetensors`.
    NothingToOpen {
        /// The directory.
        directory: PathBuf,
        /// The `.safetensors` and `.json` files that it does hold (at most 16).
        found: Vec<String>,
    },
    /// A safetensors file is malformed.
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// An index of shards is malformed, or disagrees with its shards.
    Index {
        /// The index.
        file: PathBuf,
        /// What is wrong with it.
        fault: IndexFault,
    },
    /// No tensor has this name.
    UnknownTensor {
        /// The name that was asked for.
        tensor: String,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// The tensor is stored with another element type than was asked for.
    DtypeMismatch {
        /// The tensor.
        tensor: String,
        /// As stored.
        stored: Dtype,
        /// As asked for, as [`Element::NAME`](crate::element::Element::NAME).
        wanted: &'static str,
    },
    /// No conversion leads from the stored element type to the one that was asked for.
    Unconvertible {
        /// The tensor.
        tensor: String,
        /// As stored.
        stored: Dtype,
        /// As asked for.
        wanted: &'static str,
    },
    /// A BOOL tensor holds a byte other than 0 and 1.
    NotABool {
        /// The tensor.
        tensor: String,
        /// Position of the first such byte.
        index: usize,
        /// The byte.
        byte: u8,
    },
    /// The tensor cannot be a [`Tensor`](crate::tensor::Tensor): too many dimensions, say; or one that
    /// is to be saved is being written.
    Tensor {
        /// The tensor.
        tensor: String,
        /// Why not.
        source: TensorError,
    },
    /// The tensor could not be brought to its device.
    Device {
        /// The tensor.
        tensor: String,
        /// Why not.
        source: DeviceError,
    },
    /// [`Weights::bind`](super::Weights::bind) found the weights not to fit the structure: all that is wrong.
    Bind(Report),
    /// Two tensors to be saved have one name.
    SavedTwice {
        /// The name.
        tensor: String,
    },
    /// The writer refused.
    Save {
        /// The file to be written.
        path: PathBuf,
        /// Its reason.
        message: String,
    },
}

/// What is wrong with one safetensors file. Offsets count from the start of the data section.
///
/// ```
/// use tilewright::weights::{FileFault, Weights, WeightsError};
/// let Err(WeightsError::File { fault, .. }) = Weights::from_bytes(b"1234".to_vec()) else { panic!() };
/// assert_eq!(fault, FileFault::TooShort { length: 4 });
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are named in the text of each variant")]
pub enum FileFault {
    /// `length` bytes do not hold the eight of the header's length.
    TooShort { length: usize },
    /// The header claims `length` bytes, more than `limit`.
    HeaderTooLarge { length: u64, limit: u64 },
    /// The header claims `length` bytes, but only `available` follow.
    HeaderPastEnd { length: u64, available: usize },
    /// The header's byte `at` is not UTF-8.
    HeaderNotUtf8 { at: usize },
    /// The header does not begin with `{`.
    HeaderStart { byte: Option<u8> },
    /// The header is not JSON.
    HeaderJson { line: usize, column: usize, message: String },
    /// More than `limit` tensors.
    TooManyTensors { limit: usize },
    /// Two entries have one name (perhaps spelled with different escapes).
    DuplicateName { tensor: String },
    /// An entry is not an object.
    NotAnEntry { tensor: String, found: String },
    /// An entry has a field twice.
    DuplicateField { tensor: String, field: &'static str },
    /// An entry has a field other than `dtype`, `shape` and `data_offsets`.
    UnknownField { tensor: String, field: String },
    /// An entry lacks a field.
    MissingField { tensor: String, field: &'static str },
    /// A field has a value of the wrong kind.
    FieldKind { tensor: String, field: &'static str, expected: &'static str, found: String },
    /// A dimension or an offset is no non-negative integer of 64 bits.
    NotAnInteger { tensor: String, field: &'static str, found: String },
    /// `__metadata__` is not an object of strings; `key` names the first entry at fault.
    MetadataKind { key: Option<String>, found: String },
    /// `__metadata__` has a key twice, or stands there twice (`key` is then `None`).
    DuplicateMetadata { key: Option<String> },
    /// A dtype that the format does not define.
    UnknownDtype { tensor: String, dtype: String },
    /// More than `limit` dimensions.
    TooManyDimensions { tensor: String, limit: usize },
    /// `data_offsets` holds `count` numbers, not two; 3 stands for more, too.
    OffsetsCount { tensor: String, count: usize },
    /// The tensor ends before it begins.
    ReversedOffsets { tensor: String, begin: u64, end: u64 },
    /// The tensor ends after the data, which has `length` bytes.
    OutOfRange { tensor: String, begin: u64, end: u64, length: usize },
    /// The size of the shape does not fit 64 bits.
    ShapeOverflow { tensor: String, dtype: Dtype, shape: Vec<usize> },
    /// Elements narrower than a byte that do not fill the last one.
    PartialByte { tensor: String, dtype: Dtype, shape: Vec<usize> },
    /// Dtype and shape make `expected` bytes, the offsets `found`.
    SizeMismatch { tensor: String, dtype: Dtype, shape: Vec<usize>, expected: usize, found: usize },
    /// Two tensors share the bytes from `begin` to `end`.
    Overlap { tensor: String, other: String, begin: usize, end: usize },
    /// No tensor covers the bytes from `begin` to `end`, before `tensor`.
    Hole { tensor: String, begin: usize, end: usize },
    /// No tensor covers the last bytes, from `begin` to `end`.
    TrailingBytes { begin: usize, end: usize },
}

/// What is wrong with an index of shards.
///
/// ```
/// use tilewright::weights::IndexFault;
/// let fault = IndexFault::ShardName { tensor: "w".into(), shard: "../w.safetensors".into() };
/// assert!(fault.to_string().contains("a plain file name"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are named in the text of each variant")]
pub enum IndexFault {
    /// The index has `length` bytes, more than `limit`.
    TooLarge { length: u64, limit: u64 },
    /// Not JSON, or not UTF-8.
    Json { line: usize, column: usize, message: String },
    /// No `weight_map`, or more than one.
    WeightMap { count: usize },
    /// `weight_map` is not an object of strings; `tensor` names the first entry at fault.
    WeightMapKind { tensor: Option<String>, found: String },
    /// Two entries have one name.
    DuplicateName { tensor: String },
    /// More than `limit` tensors.
    TooManyTensors { limit: usize },
    /// A shard's name is no plain file name.
    ShardName { tensor: String, shard: String },
    /// A shard that the index names is not there.
    MissingShard { tensor: String, shard: String },
    /// The shard does not hold a tensor that the index places there.
    NotInShard { tensor: String, shard: String },
    /// A shard holds a tensor that the index does not list.
    NotInIndex { tensor: String, shard: String },
    /// A shard holds a tensor that the index places in `other`.
    InTwoShards { tensor: String, shard: String, other: String },
}

impl std::error::Error for WeightsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let WeightsError::Io { source, .. } = self {
            Some(source)
        } else if let WeightsError::Tensor { source, .. } = self {
            Some(source)
        } else if let WeightsError::Device { source, .. } = self {
            Some(source)
        } else {
            None
        }
    }
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use WeightsError::*;
        match self {
            Io { path, source } => write!(f, "{}: {source}", path.display()),
            NothingToOpen { directory, found } => {
                let found = if found.is_empty() { "nothing like it".to_owned() } else { found.join(", ") };
                let directory = directory.display();
                write!(
                    f,
                    "{directory} holds neither model.safetensors.index.json nor model.safetensors but {found}; name the file to open"
                )
            }
            File { file, fault } => write!(f, "{}: {fault}", file.display()),
            Index { file, fault } => write!(f, "{}: {fault}", file.display()),
            UnknownTensor { tensor, nearest: Some(nearest) } => {
                write!(f, "no tensor is named {tensor:?}; did you mean {nearest:?}?")
            }
            UnknownTensor { tensor, nearest: None } => {
                write!(f, "no tensor is named {tensor:?}; `names()` lists those there are")
            }
            DtypeMismatch { tensor, stored, wanted } => {
                write!(
                    f,
                    "{tensor:?} is stored as {stored}, not as {wanted}; `convert::<{wanted}>` converts it"
                )
            }
            Unconvertible { tensor, stored, wanted } => {
                write!(
                    f,
                    "{tensor:?} is stored as {stored}, which cannot be converted to {wanted}; read its bytes and unpack them"
                )
            }
            NotABool { tensor, index, byte } => {
                write!(
                    f,
                    "byte {index} of the BOOL tensor {tensor:?} is {byte}, neither 0 nor 1; the file was not written by a safetensors writer"
                )
            }
            Tensor { tensor, source } => write!(f, "{tensor:?}: {source}"),
            Device { tensor, source } => write!(f, "{tensor:?}: {source}"),
            Bind(report) => report.fmt(f),
            SavedTwice { tensor } => write!(f, "{tensor:?} would be saved twice; names must differ"),
            Save { path, message } => write!(f, "{}: {message}", path.display()),
        }
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(f)?;
        let cut = matches!(
            self,
            FileFault::TooShort { .. } | FileFault::HeaderPastEnd { .. } | FileFault::OutOfRange { .. }
        );
        let foreign = matches!(
            self,
            FileFault::HeaderTooLarge { .. }
                | FileFault::HeaderNotUtf8 { .. }
                | FileFault::HeaderStart { .. }
                | FileFault::HeaderJson { .. }
        );
        let advice = if cut {
            "; the file is cut short or no safetensors file: fetch it again"
        } else if foreign {
            "; is this a safetensors file? an LFS pointer, a pickle or a partial download is not"
        } else {
            "; refused, since readers could disagree on its content: write it again with a safetensors writer"
        };
        f.write_str(advice)
    }
}

impl FileFault {
    fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use FileFault::*;
        match self {
            TooShort { length } => write!(f, "{length} bytes do not hold the header's length"),
            HeaderTooLarge { length, limit } => {
                write!(f, "a header of {length} bytes, where at most {limit} are allowed")
            }
            HeaderPastEnd { length, available } => {
                write!(f, "a header of {length} bytes, but only {available} follow")
            }
            HeaderNotUtf8 { at } => write!(f, "byte {at} of the header is not UTF-8"),
            HeaderStart { byte: Some(byte) } => {
                write!(f, "the header begins with the byte {byte}, not with an opening brace")
            }
            HeaderStart { byte: None } => write!(f, "the header is empty"),
            HeaderJson { line, column, message } => {
                write!(f, "the header is not JSON at line {line}, column {column}: {message}")
            }
            TooManyTensors { limit } => write!(f, "more than {limit} tensors"),
            DuplicateName { tensor } => write!(f, "two tensors are named {tensor:?}"),
            NotAnEntry { tensor, found } => write!(f, "the entry of {tensor:?} is {found}, not an object"),
            DuplicateField { tensor, field } => write!(f, "the entry of {tensor:?} has `{field}` twice"),
            UnknownField { tensor, field } => {
                write!(f, "the entry of {tensor:?} has the unknown field {field:?}")
            }
            MissingField { tensor, field } => write!(f, "the entry of {tensor:?} lacks `{field}`"),
            FieldKind { tensor, field, expected, found } => {
                write!(f, "`{field}` of {tensor:?} is {found}, not {expected}")
            }
            NotAnInteger { tensor, field, found } => {
                write!(f, "`{field}` of {tensor:?} holds {found}, not an integer from 0 to 2^64 - 1")
            }
            MetadataKind { key: Some(key), found } => {
                write!(f, "{key:?} in `__metadata__` is {found}, not a string")
            }
            MetadataKind { key: None, found } => {
                write!(f, "`__metadata__` is {found}, not an object of strings")
            }
            DuplicateMetadata { key: Some(key) } => write!(f, "`__metadata__` has {key:?} twice"),
            DuplicateMetadata { key: None } => write!(f, "`__metadata__` stands there twice"),
            UnknownDtype { tensor, dtype } => write!(f, "{tensor:?} has the unknown dtype {dtype:?}"),
            TooManyDimensions { tensor, limit } => write!(f, "{tensor:?} has more than {limit} dimensions"),
            OffsetsCount { tensor, count } => {
                write!(f, "`data_offsets` of {tensor:?} holds {count} numbers, not two")
            }
            ReversedOffsets { tensor, begin, end } => {
                write!(f, "{tensor:?} begins at {begin} and ends before, at {end}")
            }
            OutOfRange { tensor, begin, end, length } => {
                write!(f, "{tensor:?} lies at {begin}..{end}, but the data has {length} bytes")
            }
            ShapeOverflow { tensor, dtype, shape } => {
                write!(f, "{tensor:?}, {dtype} of shape {shape:?}, has more bytes than can be counted")
            }
            PartialByte { tensor, dtype, shape } => {
                write!(f, "{tensor:?}, {dtype} of shape {shape:?}, ends inside a byte")
            }
            SizeMismatch { tensor, dtype, shape, expected, found } => {
                write!(
                    f,
                    "{tensor:?}, {dtype} of shape {shape:?}, needs {expected} bytes, but its offsets span {found}"
                )
            }
            Overlap { tensor, other, begin, end } => {
                write!(f, "{tensor:?} and {other:?} share the bytes {begin}..{end}")
            }
            Hole { tensor, begin, end } => {
                write!(f, "no tensor covers the bytes {begin}..{end} before {tensor:?}")
            }
            TrailingBytes { begin, end } => write!(f, "no tensor covers the bytes {begin}..{end} at the end"),
        }
    }
}

impl fmt::Display for IndexFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use IndexFault::*;
        match self {
            TooLarge { length, limit } => {
                write!(f, "an index of {length} bytes, where at most {limit} are allowed")
            }
            Json { line, column, message } => {
                write!(f, "not JSON at line {line}, column {column}: {message}")
            }
            WeightMap { count } => write!(
                f,
                "{count} times `weight_map`, which must stand there once; is this a model.safetensors.index.json?"
            ),
            WeightMapKind { tensor: Some(tensor), found } => {
                write!(f, "the shard of {tensor:?} is {found}, not a file name")
            }
            WeightMapKind { tensor: None, found } => {
                write!(f, "`weight_map` is {found}, not an object of file names")
            }
            DuplicateName { tensor } => write!(f, "`weight_map` has {tensor:?} twice; write the index again"),
            TooManyTensors { limit } => write!(f, "more than {limit} tensors"),
            ShardName { tensor, shard } => {
                write!(
                    f,
                    "the shard {shard:?} of {tensor:?} is not allowed: a shard is a plain file name beside the index that ends in .safetensors"
                )
            }
            MissingShard { tensor, shard } => {
                write!(f, "the shard {shard} of {tensor:?} is not there; fetch it")
            }
            NotInShard { tensor, shard } => {
                write!(f, "{shard} does not hold {tensor:?}, which the index places there; fetch both again")
            }
            NotInIndex { tensor, shard } => {
                write!(f, "{shard} holds {tensor:?}, which the index does not list; fetch both again")
            }
            InTwoShards { tensor, shard, other } => {
                write!(
                    f,
                    "{shard} holds {tensor:?}, which the index places in {other}; remove one of the two"
                )
            }
        }
    }
}
