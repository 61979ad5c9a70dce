//! Why a kernel refused its arguments.

use std::fmt;

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
    /// Two tensors are on different devices.
    Devices {
        /// The kernel.
        kernel: &'static str,
        /// A tensor and its device.
        first: (&'static str, String),
        /// Another.
        second: (&'static str, String),
    },
    /// The tile buffers of a program do not fit into memory. Some programs may have run.
    Workspace {
        /// The kernel.
        kernel: &'static str,
        /// Bytes that a thread needs; `usize::MAX` stands for more than can be counted.
        bytes: usize,
    },
    /// A whole dimension is longer than a GPU program can hold.
    TileTooLong {
        /// The kernel.
        kernel: &'static str,
        /// The dimension's name.
        dimension: &'static str,
        /// Its length.
        length: i32,
        /// The longest.
        most: i32,
    },
    /// A tile is more than the threads of a GPU program hold.
    TileTooLarge {
        /// The kernel.
        kernel: &'static str,
        /// Elements that a thread would hold.
        elements: u64,
        /// The most.
        most: u64,
    },
    /// The tiles of a program need more shared memory than the GPU gives one.
    SharedMemory {
        /// The kernel.
        kernel: &'static str,
        /// Needed.
        bytes: u32,
        /// Given.
        most: u32,
    },
    /// More programs than a GPU launches at once.
    TooManyPrograms {
        /// The kernel.
        kernel: &'static str,
        /// How many.
        programs: i64,
    },
    /// The kernel uses something that has no GPU form.
    NoGpuForm {
        /// The kernel.
        kernel: &'static str,
        /// What it is.
        reason: &'static str,
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
            LaunchError::Devices { kernel, first, second } => write!(
                f,
                "{kernel}: {} is on {} but {} on {}; bring both to one device with .to(&device)",
                first.0, first.1, second.0, second.1
            ),
            LaunchError::Workspace { kernel, bytes } => write!(
                f,
                "{kernel}: its tiles need {bytes} bytes of memory for each thread; give smaller blocks in the \
                 config, or fewer threads"
            ),
            LaunchError::TileTooLong { kernel, dimension, length, most } => write!(
                f,
                "{kernel}: {dimension} is {length}, but a GPU program holds at most {most} of a whole \
                 dimension; loop over it with tile({dimension}), or run on the CPU"
            ),
            LaunchError::TileTooLarge { kernel, elements, most } => write!(
                f,
                "{kernel}: its largest tile has {elements} elements for each thread of a GPU program, and {most} \
                 is the most; give smaller blocks in the config, or loop over a dimension with tile()"
            ),
            LaunchError::SharedMemory { kernel, bytes, most } => write!(
                f,
                "{kernel}: its tiles need {bytes} bytes of shared memory, and a program has {most}; \
                 give smaller blocks in the config"
            ),
            LaunchError::TooManyPrograms { kernel, programs } => write!(
                f,
                "{kernel}: {programs} programs are more than a GPU launches at once; give larger blocks in \
                 the config"
            ),
            LaunchError::NoGpuForm { kernel, reason } => {
                write!(f, "{kernel}: no GPU form: {reason}; run it on CPU tensors")
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
