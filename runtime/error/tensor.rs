//! Why a tensor could not be made, viewed or accessed.

use std::fmt;

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
    /// The elements are on a GPU, where the host cannot touch them.
    OnDevice {
        /// The device.
        device: String,
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
            TensorError::OnDevice { device } => write!(
                f,
                "the tensor is on {device}; copy it with .to(&Device::cpu()) before reading or writing elements"
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
