//! What can go wrong at run time: one enum a module, unified in [`Error`].

use std::fmt;

/// Anything that a call into this crate reports.
///
/// ```
/// use tilewright::prelude::*;
/// let short = Tensor::from_vec((2, 2), vec![1i32, 2, 3]).map_err(Error::from);
/// assert!(matches!(short, Err(Error::Tensor(_))));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A tensor could not be made, viewed or accessed.
    Tensor(TensorError),
    /// A kernel refused its arguments before it ran.
    Launch(LaunchError),
    /// A configuration does not fit the kernel, or does not parse.
    Config(ConfigError),
    /// A kernel ran and met an index outside a tensor: such loads gave zero, such stores did nothing.
    IndexOutOfBounds {
        /// The kernel.
        kernel: &'static str,
        /// The parameter that was indexed.
        tensor: &'static str,
        /// Which of its dimensions, from 0.
        dimension: usize,
        /// The index: the first one that was noticed.
        index: i64,
        /// The dimension's length.
        length: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Tensor(error) => error.fmt(f),
            Error::Launch(error) => error.fmt(f),
            Error::Config(error) => error.fmt(f),
            Error::IndexOutOfBounds { kernel, tensor, dimension, index, length } => write!(
                f,
                "{kernel}: index {index} is outside dimension {dimension} of {tensor}, which has length \
                 {length}; correct the indices, or load with `.at(…).or(default)`"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Tensor(error) => Some(error),
            Error::Launch(error) => Some(error),
            Error::Config(error) => Some(error),
            Error::IndexOutOfBounds { .. } => None,
        }
    }
}

impl From<TensorError> for Error {
    fn from(error: TensorError) -> Error {
        Error::Tensor(error)
    }
}

impl From<LaunchError> for Error {
    fn from(error: LaunchError) -> Error {
        Error::Launch(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Error {
        Error::Config(error)
    }
}

/// Why a tensor could not be made, viewed or accessed.
///
/// ```
/// use tilewright::prelude::*;
/// let error = Tensor::from_vec((2, 2), vec![1i32, 2, 3]).unwrap_err();
/// assert_eq!(error.to_string(), "shape [2, 2] has 4 elements but 3 were given; give as many as the shape has");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorError {
    /// More than 8 dimensions.
    RankTooLarge {
        /// The rank asked for.
        rank: usize,
    },
    /// More elements than memory can address.
    TooLarge {
        /// The shape asked for.
        shape: Vec<usize>,
    },
    /// A shape and a number of elements disagree.
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// How many elements were given.
        found: usize,
    },
    /// A slice was asked of a tensor whose elements are not side by side in row-major order.
    NotContiguous {
        /// The shape.
        shape: Vec<usize>,
        /// The strides.
        strides: Vec<isize>,
    },
    /// A reshape of a strided view would have to copy.
    ReshapeNeedsCopy {
        /// The view's shape.
        from: Vec<usize>,
        /// The shape asked for.
        to: Vec<usize>,
    },
    /// No such dimension.
    NoDimension {
        /// The dimension asked for.
        dimension: usize,
        /// How many there are.
        rank: usize,
    },
    /// A range leaves its dimension.
    Range {
        /// The dimension.
        dimension: usize,
        /// First index asked for.
        start: usize,
        /// How many were asked for.
        count: usize,
        /// The dimension's length.
        length: usize,
    },
    /// An order of dimensions that is not a permutation.
    Permutation {
        /// The order given.
        order: Vec<usize>,
        /// How many dimensions there are.
        rank: usize,
    },
    /// Only a dimension of length 1 can be squeezed.
    Squeeze {
        /// The dimension.
        dimension: usize,
        /// Its length.
        length: usize,
    },
    /// Neither equal nor of length 1.
    Broadcast {
        /// The tensor's shape.
        from: Vec<usize>,
        /// The shape asked for.
        to: Vec<usize>,
    },
    /// An index outside the tensor, or of another rank.
    Index {
        /// The index.
        index: Vec<usize>,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Two shapes must be equal.
    Shape {
        /// What was needed.
        expected: Vec<usize>,
        /// What was given.
        found: Vec<usize>,
    },
    /// The memory belongs to someone who only lends it for reading, as a memory-mapped file does.
    ReadOnly,
    /// The view names some element twice (it was broadcast), so that it cannot be written.
    Overlapping {
        /// The shape.
        shape: Vec<usize>,
        /// The strides.
        strides: Vec<isize>,
    },
    /// The storage is in use: someone holds a guard of it or runs a kernel on it.
    Busy,
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TensorError::RankTooLarge { rank } => {
                write!(f, "a tensor has at most 8 dimensions, not {rank}; merge some")
            }
            TensorError::TooLarge { shape } => {
                write!(f, "a tensor of shape {shape:?} is larger than memory; use a smaller shape")
            }
            TensorError::Length { shape, found } => write!(
                f,
                "shape {shape:?} has {} elements but {found} were given; give as many as the shape has",
                shape.iter().fold(1usize, |product, &length| product.saturating_mul(length))
            ),
            TensorError::NotContiguous { shape, strides } => write!(
                f,
                "the view of shape {shape:?} and strides {strides:?} is not contiguous, so it has no slice; \
                 call to_contiguous() first"
            ),
            TensorError::ReshapeNeedsCopy { from, to } => write!(
                f,
                "the strided view of shape {from:?} cannot become {to:?} without a copy; \
                 call to_contiguous() first"
            ),
            TensorError::NoDimension { dimension, rank } => {
                write!(
                    f,
                    "there is no dimension {dimension} in a tensor of rank {rank}; dimensions count from 0"
                )
            }
            TensorError::Range { dimension, start, count, length } => write!(
                f,
                "{start}..{start}+{count} leaves dimension {dimension}, which has length {length}; \
                 choose a range inside it"
            ),
            TensorError::Permutation { order, rank } => {
                write!(f, "{order:?} is no order of {rank} dimensions; name each of 0..{rank} once")
            }
            TensorError::Squeeze { dimension, length } => write!(
                f,
                "dimension {dimension} has length {length}; only one of length 1 can be squeezed, \
                 select() takes one index of others"
            ),
            TensorError::Broadcast { from, to } => write!(
                f,
                "shape {from:?} does not broadcast to {to:?}; counted from the last, \
                 each dimension must be equal or 1"
            ),
            TensorError::Index { index, shape } => {
                write!(f, "index {index:?} is outside shape {shape:?}; give one index below each length")
            }
            TensorError::Shape { expected, found } => {
                write!(f, "shape {expected:?} was needed but {found:?} was given; make them equal")
            }
            TensorError::ReadOnly => {
                write!(
                    f,
                    "the tensor's memory is read-only (mapped from a file); call copy() for one to write"
                )
            }
            TensorError::Overlapping { shape, strides } => write!(
                f,
                "the view of shape {shape:?} and strides {strides:?} names some elements twice; \
                 only its copy() can be written"
            ),
            TensorError::Busy => write!(
                f,
                "the tensor's storage is in use by a read or write guard, or by a kernel on another thread; \
                 end that use first, or work on a copy()"
            ),
        }
    }
}

impl std::error::Error for TensorError {}

/// Where two tensors of one launch disagree about a dimension.
///
/// ```
/// let place = tilewright::error::Place { tensor: "x", dimension: 1, length: 4 };
/// assert_eq!(place.to_string(), "4 in x (dimension 1)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The parameter.
    pub tensor: &'static str,
    /// Which of its dimensions, from 0.
    pub dimension: usize,
    /// That dimension's length.
    pub length: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} (dimension {})", self.length, self.tensor, self.dimension)
    }
}

/// Why a kernel refused its arguments. Nothing ran.
///
/// ```
/// use tilewright::error::{LaunchError, Place};
/// let error = LaunchError::Dimension {
///     kernel: "softmax",
///     dimension: "N",
///     first: Place { tensor: "x", dimension: 1, length: 4 },
///     second: Place { tensor: "out", dimension: 1, length: 5 },
/// };
/// assert_eq!(
///     error.to_string(),
///     "softmax: N is 4 in x (dimension 1) but 5 in out (dimension 1); give both the same length"
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LaunchError {
    /// A tensor has another number of dimensions than its parameter.
    Rank {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        tensor: &'static str,
        /// The names of its dimensions.
        expected: Vec<&'static str>,
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// Two tensors disagree about a named dimension.
    Dimension {
        /// The kernel.
        kernel: &'static str,
        /// The dimension's name.
        dimension: &'static str,
        /// Where its length was fixed.
        first: Place,
        /// Where it is another.
        second: Place,
    },
    /// A dimension is longer than an i32 counts.
    TooLong {
        /// The kernel.
        kernel: &'static str,
        /// The dimension's name.
        dimension: &'static str,
        /// Where.
        place: Place,
    },
    /// No tensor fixes this dimension.
    Unfixed {
        /// The kernel.
        kernel: &'static str,
        /// The dimension's name.
        dimension: &'static str,
    },
    /// An `assert!` of the kernel does not hold.
    Assert {
        /// The kernel.
        kernel: &'static str,
        /// The condition as it was written.
        text: &'static str,
    },
    /// A scalar argument does not fit the type that the kernel computes with.
    Scalar {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        name: &'static str,
        /// The value.
        value: String,
        /// i32 or f32.
        ty: &'static str,
    },
    /// An output shares elements with another argument.
    Alias {
        /// The kernel.
        kernel: &'static str,
        /// The output.
        output: &'static str,
        /// The other argument.
        other: &'static str,
        /// Whether they are the very same view.
        same_view: bool,
    },
    /// An output is a view that names some element twice.
    Overlapping {
        /// The kernel.
        kernel: &'static str,
        /// The output.
        tensor: &'static str,
        /// Its strides.
        strides: Vec<isize>,
    },
    /// An output lives in memory that is only lent for reading.
    ReadOnly {
        /// The kernel.
        kernel: &'static str,
        /// The output.
        tensor: &'static str,
    },
    /// A tensor's storage is in use elsewhere.
    Busy {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        tensor: &'static str,
    },
    /// `TILEWRIGHT_CPU` asks for what this processor does not have.
    InstructionSet {
        /// What to do.
        message: String,
    },
    /// `TILEWRIGHT_THREADS` is not a number of threads.
    Threads {
        /// What it is.
        value: String,
    },
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaunchError::Rank { kernel, tensor, expected, found } => write!(
                f,
                "{kernel}: {tensor} is ({}), of rank {}, but the tensor given has rank {} and shape {found:?}; \
                 reshape it",
                expected.join(", "),
                expected.len(),
                found.len()
            ),
            LaunchError::Dimension { kernel, dimension, first, second } => {
                write!(f, "{kernel}: {dimension} is {first} but {second}; give both the same length")
            }
            LaunchError::TooLong { kernel, dimension, place } => write!(
                f,
                "{kernel}: {dimension} is {place}, and a dimension has at most {} elements; split the tensor",
                i32::MAX
            ),
            LaunchError::Unfixed { kernel, dimension } => {
                write!(f, "{kernel}: no tensor fixes the length of {dimension}; give one that has it")
            }
            LaunchError::Assert { kernel, text } => {
                write!(f, "{kernel}: this call does not satisfy assert!({text}); call it with shapes that do")
            }
            LaunchError::Scalar { kernel, name, value, ty } => {
                write!(f, "{kernel}: {name} is {value}, which does not fit {ty}; give a smaller value")
            }
            LaunchError::Alias { kernel, output, other, same_view: false } => {
                write!(f, "{kernel}: the output {output} overlaps {other}; write to a tensor of its own")
            }
            LaunchError::Alias { kernel, output, other, same_view: true } => write!(
                f,
                "{kernel}: {output} and {other} are the same view, but the kernel does not work in place on \
                 them; write to a tensor of its own"
            ),
            LaunchError::Overlapping { kernel, tensor, strides } => write!(
                f,
                "{kernel}: the output {tensor} has strides {strides:?} and names some elements twice; \
                 write to a copy()"
            ),
            LaunchError::ReadOnly { kernel, tensor } => write!(
                f,
                "{kernel}: the output {tensor} is read-only memory (mapped from a file); write to a copy()"
            ),
            LaunchError::Busy { kernel, tensor } => write!(
                f,
                "{kernel}: the storage of {tensor} is in use by a read or write guard or by another thread; \
                 end that use first"
            ),
            LaunchError::InstructionSet { message } => f.write_str(message),
            LaunchError::Threads { value } => {
                write!(f, "TILEWRIGHT_THREADS={value} is not a number of threads; set it to 1 or more")
            }
        }
    }
}

impl std::error::Error for LaunchError {}

/// Why a configuration was refused.
///
/// ```
/// let error = "m=sixty".parse::<tilewright::Config>().unwrap_err();
/// assert_eq!(error.to_string(), "`m=sixty` is not key=value with an integer value; write for example m=64");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The kernel has no such key.
    UnknownKey {
        /// The kernel.
        kernel: &'static str,
        /// The key.
        key: String,
        /// The key of the kernel that is spelled most like it.
        nearest: Option<&'static str>,
        /// All keys of the kernel.
        known: Vec<&'static str>,
    },
    /// A value that no block size or number of threads can have.
    Value {
        /// The key.
        key: String,
        /// The value.
        value: i32,
    },
    /// Text that is not `key=value`.
    Syntax {
        /// The text.
        text: String,
    },
    /// A key is given twice.
    Twice {
        /// The key.
        key: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::UnknownKey { kernel, key, known, .. } if known.is_empty() => {
                write!(f, "{kernel}: there is no config key `{key}`; this kernel has none but `threads`")
            }
            ConfigError::UnknownKey { kernel, key, nearest: Some(nearest), known } => write!(
                f,
                "{kernel}: there is no config key `{key}`; did you mean `{nearest}`? (it has {})",
                known.join(", ")
            ),
            ConfigError::UnknownKey { kernel, key, nearest: None, known } => {
                write!(f, "{kernel}: there is no config key `{key}`; use one of {}", known.join(", "))
            }
            ConfigError::Value { key, value } => {
                write!(f, "config key `{key}` is {value}; give it 1 or more")
            }
            ConfigError::Syntax { text } => {
                write!(f, "`{text}` is not key=value with an integer value; write for example m=64")
            }
            ConfigError::Twice { key } => write!(f, "config key `{key}` is given twice; keep one"),
        }
    }
}

impl std::error::Error for ConfigError {}
