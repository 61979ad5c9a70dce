//! Named dimensions: every tensor that names one votes on its length, and the odd ones out are told.
//!
//! The length most tensors have counts as right, the first of equals; so one misshapen tensor is one
//! message, also if it is the first that is bound.

use super::report::Problem;
use std::collections::BTreeMap;
use std::fmt;

/// One dimension in `shape = (…)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// `_`
    Any,
    /// `3`
    Fixed(usize),
    /// `H` or `3 * H`
    Named {
        /// The factor, at least 1.
        times: usize,
        /// The dimension.
        name: &'static str,
        /// Whether each structure has its own.
        local: bool,
    },
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Any => f.write_str("_"),
            Dim::Fixed(length) => length.fmt(f),
            Dim::Named { times: 1, name, .. } => f.write_str(name),
            Dim::Named { times, name, .. } => write!(f, "{times} * {name}"),
        }
    }
}

/// A shape as in `shape = (…)`.
pub(crate) fn shape_text(shape: &[Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("({})", dims.join(", "))
}

/// One tensor's word on a dimension.
struct Vote {
    length: usize,
    times: usize,
    tensor: String,
    position: usize,
}

/// All votes, by dimension; a local dimension also by the structure that it belongs to.
#[derive(Default)]
pub(crate) struct Dims(BTreeMap<(&'static str, usize), Vec<Vote>>);

impl Dims {
    /// Records what dimension `position` of a tensor says, or why it cannot be right.
    pub(crate) fn vote(
        &mut self,
        instance: usize,
        dim: Dim,
        found: usize,
        tensor: &str,
        position: usize,
    ) -> Option<Problem> {
        match dim {
            Dim::Any => None,
            Dim::Fixed(length) if length == found => None,
            Dim::Fixed(_) => Some(Problem::Length {
                tensor: tensor.to_owned(),
                position,
                dimension: dim.to_string(),
                found,
                fixed_by: None,
            }),
            Dim::Named { times, name, .. } if !found.is_multiple_of(times) => Some(Problem::NotMultiple {
                tensor: tensor.to_owned(),
                position,
                dimension: name,
                times,
                found,
            }),
            Dim::Named { times, name, local } => {
                let vote = Vote { length: found / times, times, tensor: tensor.to_owned(), position };
                self.0.entry((name, if local { instance } else { 0 })).or_default().push(vote);
                None
            }
        }
    }

    /// What the minority got wrong.
    pub(crate) fn problems(self) -> impl Iterator<Item = Problem> {
        self.0.into_iter().flat_map(|((name, _), votes)| disagreements(name, votes))
    }
}

fn disagreements(name: &'static str, votes: Vec<Vote>) -> Vec<Problem> {
    let mut counts = BTreeMap::<usize, usize>::new();
    for vote in &votes {
        *counts.entry(vote.length).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or(0);
    let Some(first) = votes.iter().find(|v| counts[&v.length] == most) else { return Vec::new() };
    let wrong = votes.iter().filter(|v| v.length != first.length);
    let problem = |v: &Vote| Problem::Length {
        tensor: v.tensor.clone(),
        position: v.position,
        dimension: Dim::Named { times: v.times, name, local: false }.to_string(),
        found: v.length.saturating_mul(v.times),
        fixed_by: Some((name, first.length, first.tensor.clone(), first.position)),
    };
    wrong.map(problem).collect()
}
