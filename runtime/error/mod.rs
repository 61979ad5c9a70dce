//! What can go wrong at run time: one enum a module, unified in [`Error`].

mod config;
mod device;
mod launch;
mod tensor;

use std::fmt;
use std::sync::Arc;

pub use config::ConfigError;
pub use device::DeviceError;
pub use launch::{LaunchError, Place};
pub use tensor::TensorError;

use crate::weights::WeightsError;

/// Anything that a call into this crate reports.
///
/// ```
/// use tilewright::prelude::*;
/// let short = Tensor::from_vec((2, 2), vec![1i32, 2, 3]).map_err(Error::from);
/// assert!(matches!(short, Err(Error::Tensor(_))));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A tensor could not be made, viewed or accessed.
    Tensor(TensorError),
    /// A kernel refused its arguments before it ran.
    Launch(LaunchError),
    /// A configuration does not fit the kernel, or does not parse.
    Config(ConfigError),
    /// A checkpoint could not be opened, read or bound.
    Weights(Arc<WeightsError>),
    /// A GPU, its driver or its compiler refused.
    Device(DeviceError),
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
    /// The reference: two programs touched an element that one of them writes.
    Race {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        tensor: &'static str,
        /// The element.
        index: Vec<usize>,
    },
    /// The reference: two block sizes gave different results.
    BlockDependent {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        tensor: &'static str,
        /// The first element that differs.
        index: Vec<usize>,
        /// What the two runs gave there.
        values: [String; 2],
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Tensor(error) => error.fmt(f),
            Error::Launch(error) => error.fmt(f),
            Error::Config(error) => error.fmt(f),
            Error::Weights(error) => error.fmt(f),
            Error::Device(error) => error.fmt(f),
            Error::IndexOutOfBounds { kernel, tensor, dimension, index, length } => write!(
                f,
                "{kernel}: index {index} is outside dimension {dimension} of {tensor}, which has length \
                 {length}; correct the indices, or load with `.at(…).or(default)`"
            ),
            Error::Race { kernel, tensor, index } => write!(
                f,
                "{kernel}: two programs touch {tensor}{index:?}, and one of them writes it; give each \
                 program elements of its own"
            ),
            Error::BlockDependent { kernel, tensor, index, values: [first, second] } => write!(
                f,
                "{kernel}: {tensor}{index:?} is {first} with one block size and {second} with another; \
                 compute it independently of where blocks begin and end"
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
            Error::Weights(error) => Some(&**error),
            Error::Device(error) => Some(error),
            Error::IndexOutOfBounds { .. } | Error::Race { .. } | Error::BlockDependent { .. } => None,
        }
    }
}

impl PartialEq for Error {
    /// Field by field; errors of weights, which may hold the operating system's, by their text.
    fn eq(&self, other: &Error) -> bool {
        match (self, other) {
            (Error::Tensor(a), Error::Tensor(b)) => a == b,
            (Error::Launch(a), Error::Launch(b)) => a == b,
            (Error::Config(a), Error::Config(b)) => a == b,
            (Error::Device(a), Error::Device(b)) => a == b,
            (Error::Weights(a), Error::Weights(b)) => a.to_string() == b.to_string(),
            (
                Error::IndexOutOfBounds { kernel, tensor, dimension, index, length },
                Error::IndexOutOfBounds { kernel: k, tensor: t, dimension: d, index: i, length: l },
            ) => (kernel, tensor, dimension, index, length) == (k, t, d, i, l),
            (Error::Race { kernel, tensor, index }, Error::Race { kernel: k, tensor: t, index: i }) => {
                (kernel, tensor, index) == (k, t, i)
            }
            (
                Error::BlockDependent { kernel, tensor, index, values },
                Error::BlockDependent { kernel: k, tensor: t, index: i, values: v },
            ) => (kernel, tensor, index, values) == (k, t, i, v),
            _ => false,
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

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Error {
        Error::Device(error)
    }
}

impl From<WeightsError> for Error {
    fn from(error: WeightsError) -> Error {
        Error::Weights(Arc::new(error))
    }
}
