//! Tiles.

use super::axes::{Axes, Span, Strides};
use super::number::{Number, Wide};
use crate::element::Element;
use smallvec::smallvec;

/// One lane of `E` for each combination of its axes' indices; without axes a scalar.
#[derive(Clone, Debug)]
pub struct Tile<E: Element> {
    pub(super) axes: Axes,
    pub(super) lanes: Vec<E::Lane>,
}

/// What storing a lane as `E` and loading it again gives.
pub(super) fn rounded<E: Element>(lane: E::Lane) -> E::Lane {
    E::from_lane(lane).to_lane()
}

/// A scalar.
#[must_use]
pub fn scalar<E: Element>(lane: E::Lane) -> Tile<E> {
    Tile { axes: Axes::default(), lanes: vec![rounded::<E>(lane)] }
}

/// A float literal.
#[must_use]
pub fn float<E: Element>(value: f64) -> Tile<E>
where
    E::Lane: Number,
{
    scalar(E::Lane::from_wide(Wide::Float(value)))
}

/// An integer literal.
#[must_use]
pub fn int<E: Element>(value: i64) -> Tile<E>
where
    E::Lane: Number,
{
    scalar(E::Lane::from_wide(Wide::Int(value)))
}

/// `true` or `false`.
#[must_use]
pub fn boolean(value: bool) -> Tile<bool> {
    scalar(value)
}

impl Span {
    /// `m.index()`: the global indices.
    #[must_use]
    pub fn index(&self) -> Tile<i32> {
        Tile { axes: Axes::one(*self), lanes: (self.begin..self.end).collect() }
    }

    /// `m.begin()`: the block's first index.
    #[must_use]
    pub fn first(&self) -> Tile<i32> {
        scalar(self.begin)
    }

    /// `m.end()`: one past the block's last index.
    #[must_use]
    pub fn past(&self) -> Tile<i32> {
        scalar(self.end)
    }

    /// `m.len()`: how many indices the block has.
    #[must_use]
    pub fn len(&self) -> Tile<i32> {
        scalar(self.end.wrapping_sub(self.begin))
    }
}

impl<E: Element> Tile<E> {
    /// The lane of a scalar.
    ///
    /// # Panics
    /// The tile has axes with no element: the checks before this backend refuse such kernels.
    #[must_use]
    pub fn get(&self) -> E::Lane {
        self.lanes[0]
    }

    /// Repeated along the given axes, as far as it does not extend along them.
    #[must_use]
    pub fn broadcast(&self, along: &[Span]) -> Tile<E> {
        let axes = along.iter().fold(self.axes.clone(), |axes, span| axes.union(&Axes::one(*span)));
        let mut lanes = Vec::with_capacity(axes.elements());
        axes.walk(&[self.axes.strides(&axes)], |at| lanes.push(self.lanes[at[0]]));
        Tile { axes, lanes }
    }

    /// Each lane by itself.
    pub(super) fn map<R: Element>(&self, mut f: impl FnMut(E::Lane) -> R::Lane) -> Tile<R> {
        let lanes = self.lanes.iter().map(|lane| rounded::<R>(f(*lane))).collect();
        Tile { axes: self.axes.clone(), lanes }
    }

    /// Lanes of two tiles, aligned by axis.
    pub(super) fn zip<B: Element, R: Element>(
        &self,
        other: &Tile<B>,
        mut f: impl FnMut(E::Lane, B::Lane) -> R::Lane,
    ) -> Tile<R> {
        let mut f = |a: usize, b: usize| rounded::<R>(f(self.lanes[a], other.lanes[b]));
        if self.axes == other.axes {
            let lanes = (0..self.lanes.len()).map(|at| f(at, at)).collect();
            return Tile { axes: self.axes.clone(), lanes };
        }
        let axes = self.axes.union(&other.axes);
        let mut lanes = Vec::with_capacity(axes.elements());
        let operands = [self.axes.strides(&axes), other.axes.strides(&axes)];
        axes.walk(&operands, |at| lanes.push(f(at[0], at[1])));
        Tile { axes, lanes }
    }

    /// The lanes at one index of an axis.
    pub(super) fn slice(&self, axis: u32, index: usize) -> Tile<E> {
        let axes = self.axes.without(axis);
        let first = index * self.axes.stride(axis);
        let operands: [Strides; 1] = [self.axes.strides(&axes)];
        let mut lanes = Vec::with_capacity(axes.elements());
        axes.walk(&operands, |at| lanes.push(self.lanes[first + at[0]]));
        Tile { axes, lanes }
    }

    /// For each combination of indices of the axes but one: what `f` makes of the lanes along that one.
    pub(super) fn reduce<R: Element>(
        &self,
        axis: u32,
        f: impl Fn(&mut dyn Iterator<Item = E::Lane>) -> R::Lane,
    ) -> Tile<R> {
        let axes = self.axes.without(axis);
        let (count, step) = (self.axes.length(axis), self.axes.stride(axis));
        let operands: [Strides; 1] = [self.axes.strides(&axes)];
        let mut lanes = Vec::with_capacity(axes.elements());
        axes.walk(&operands, |at| {
            let mut along = (0..count).map(|i| self.lanes[at[0] + i * step]);
            lanes.push(rounded::<R>(f(&mut along)));
        });
        Tile { axes, lanes }
    }
}

/// Lanes of three tiles, aligned by axis: `select`.
pub(super) fn zip3<E: Element>(condition: &Tile<bool>, then: &Tile<E>, otherwise: &Tile<E>) -> Tile<E> {
    let axes = condition.axes.union(&then.axes).union(&otherwise.axes);
    let operands: smallvec::SmallVec<[Strides; 3]> =
        smallvec![condition.axes.strides(&axes), then.axes.strides(&axes), otherwise.axes.strides(&axes)];
    let mut lanes = Vec::with_capacity(axes.elements());
    axes.walk(&operands, |at| {
        lanes.push(if condition.lanes[at[0]] { then.lanes[at[1]] } else { otherwise.lanes[at[2]] });
    });
    Tile { axes, lanes }
}
