//! All that is wrong between a checkpoint and a structure, in one error.

use super::Dtype;
use std::fmt;
use std::path::PathBuf;

/// Why weights do not fit a structure: every reason, not the first.
///
/// ```
/// use tilewright::prelude::*;
/// use tilewright::weights::{Problem, Weights, WeightsError};
///
/// #[derive(Weights, Debug)]
/// struct Linear {
///     #[weight("weight", shape = (N, K))]
///     weight: Tensor<f32>,
///     #[weight("bias", shape = N)]
///     bias: Tensor<f32>,
/// }
///
/// let empty = Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
/// let Err(WeightsError::Bind(report)) = empty.bind::<Linear>() else { panic!() };
/// assert_eq!(report.problems.len(), 2);
/// assert!(matches!(report.problems[0], Problem::Missing { .. }));
/// # Ok::<(), WeightsError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Where the weights came from.
    pub path: PathBuf,
    /// The structure.
    pub structure: &'static str,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
///
/// ```
/// use tilewright::weights::Problem;
/// let problem = Problem::Unexpected { tensor: "x.scale".into() };
/// assert!(problem.to_string().contains("no field"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// A field's tensor is not there.
    Missing {
        /// The tensor.
        tensor: String,
        /// The field that wants it.
        field: String,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// No tensor is there for the first element of a list.
    EmptyList {
        /// The names, with `{i}`.
        pattern: String,
        /// The field that wants them.
        field: String,
        /// A name that contains the pattern's first element, if there is one.
        nearest: Option<String>,
    },
    /// Numbers are missing between those of a list.
    ListHole {
        /// The names, with `{i}`.
        pattern: String,
        /// The field that wants them.
        field: String,
        /// The first numbers that are missing, as ranges, both ends included (at most 8 ranges).
        missing: Vec<(usize, usize)>,
    },
    /// A tensor has another number of dimensions.
    Rank {
        /// The tensor.
        tensor: String,
        /// The field that wants it.
        field: String,
        /// The shape as the field has it.
        wanted: String,
        /// The shape as stored.
        found: Vec<usize>,
    },
    /// A dimension has another length.
    Length {
        /// The tensor.
        tensor: String,
        /// Which of its dimensions, from 0.
        position: usize,
        /// The dimension as the field has it.
        dimension: String,
        /// Its length as stored.
        found: usize,
        /// The named dimension, its length, and the tensor and position where it has that.
        fixed_by: Option<(&'static str, usize, String, usize)>,
    },
    /// A dimension is no multiple of the factor before its name.
    NotMultiple {
        /// The tensor.
        tensor: String,
        /// Which of its dimensions, from 0.
        position: usize,
        /// The named dimension.
        dimension: &'static str,
        /// The factor.
        times: usize,
        /// Its length as stored.
        found: usize,
    },
    /// A tensor has another element type.
    Dtype {
        /// The tensor.
        tensor: String,
        /// The field that wants it.
        field: String,
        /// As stored.
        stored: Dtype,
        /// As the field has it.
        wanted: &'static str,
        /// Whether `convert` on the field would help.
        convertible: bool,
    },
    /// A tensor has more than 8 dimensions.
    TooManyDimensions {
        /// The tensor.
        tensor: String,
        /// The shape as stored.
        found: Vec<usize>,
    },
    /// No field takes a tensor: often a sign that the structure is not the model's.
    Unexpected {
        /// The tensor.
        tensor: String,
    },
}

/// Problems that `Display` lists; the rest are counted.
const SHOWN: usize = 200;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let s = if count == 1 { "" } else { "s" };
        write!(f, "{} does not fit {}: {count} problem{s}", self.path.display(), self.structure)?;
        for problem in self.problems.iter().take(SHOWN) {
            write!(f, "\n  {problem}")?;
        }
        if count > SHOWN { write!(f, "\n  and {} more", count - SHOWN) } else { Ok(()) }
    }
}

/// First, second, third, 4th…
fn ordinal(position: usize) -> String {
    match position {
        0 => "first".into(),
        1 => "second".into(),
        2 => "third".into(),
        n => format!("{}th", n + 1),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing { tensor, field, nearest } => {
                write!(f, "missing: {tensor:?} for the field `{field}`")?;
                nearest.as_ref().map_or(Ok(()), |n| write!(f, "; did you mean {n:?}?"))
            }
            Problem::EmptyList { pattern, field, nearest } => {
                write!(f, "missing: no tensor is named like {pattern:?} for the list `{field}`")?;
                nearest.as_ref().map_or(Ok(()), |n| write!(f, "; did you mean names like {n:?}?"))
            }
            Problem::ListHole { pattern, field, missing } => {
                let ranges: Vec<String> = missing.iter().map(|r| range_text(*r)).collect();
                write!(
                    f,
                    "missing: {} of {pattern:?} for the list `{field}`, which counts from 0 without holes",
                    ranges.join(", ")
                )
            }
            Problem::Rank { tensor, field, wanted, found } => {
                write!(
                    f,
                    "misshapen: {tensor:?} is {found:?}, but the field `{field}` has the shape {wanted}"
                )
            }
            Problem::Length { tensor, position, dimension, found, fixed_by: None } => {
                write!(
                    f,
                    "misshapen: the {} dimension of {tensor:?} is {found}, not {dimension}",
                    ordinal(*position)
                )
            }
            Problem::Length {
                tensor,
                position,
                dimension,
                found,
                fixed_by: Some((name, length, by, at)),
            } => write!(
                f,
                "misshapen: the {} dimension of {tensor:?}, {dimension}, is {found}, but {name} is {length} in the {} dimension of {by:?}",
                ordinal(*position),
                ordinal(*at)
            ),
            Problem::NotMultiple { tensor, position, dimension, times, found } => write!(
                f,
                "misshapen: the {} dimension of {tensor:?}, {times} * {dimension}, is {found}, no multiple of {times}",
                ordinal(*position)
            ),
            Problem::Dtype { tensor, field, stored, wanted, convertible } => {
                write!(
                    f,
                    "wrong dtype: {tensor:?} is stored as {stored}, but the field `{field}` holds {wanted}"
                )?;
                f.write_str(if *convertible {
                    "; `convert` in #[weight(…)] converts it"
                } else {
                    "; there is no conversion"
                })
            }
            Problem::TooManyDimensions { tensor, found } => {
                write!(f, "misshapen: {tensor:?} is {found:?}, but a tensor has at most 8 dimensions")
            }
            Problem::Unexpected { tensor } => write!(
                f,
                "unexpected: {tensor:?} is taken by no field; add one, or `ignore` it in #[weights(…)] if it is not needed"
            ),
        }
    }
}

fn range_text((first, last): (usize, usize)) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}
