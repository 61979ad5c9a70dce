//! Operations that remove an axis.

use super::axes::{Span, Strides};
use super::number::{Number, Wide};
use super::ops::range;
use super::tile::{Tile, rounded};
use crate::element::Element;

/// The sum along an axis, in the compute type.
#[must_use]
pub fn reduce_sum<E: Element, R: Element<Lane = E::Lane>>(x: &Tile<E>, axis: Span) -> Tile<R>
where
    E::Lane: Number,
{
    x.reduce::<R>(axis.id, |lanes| E::Lane::sum(lanes))
}

/// The product along an axis, in the compute type.
#[must_use]
pub fn reduce_prod<E: Element, R: Element<Lane = E::Lane>>(x: &Tile<E>, axis: Span) -> Tile<R>
where
    E::Lane: Number,
{
    x.reduce::<R>(axis.id, |lanes| E::Lane::product(lanes))
}

/// The mean along an axis, in the compute type.
#[must_use]
pub fn reduce_mean<E: Element, R: Element<Lane = E::Lane>>(x: &Tile<E>, axis: Span) -> Tile<R>
where
    E::Lane: Number,
{
    let count = x.axes.length(axis.id);
    x.reduce::<R>(axis.id, |lanes| E::Lane::mean(lanes, count))
}

/// The largest along an axis; of none the least value of the type.
#[must_use]
pub fn reduce_max<E: Element, R: Element<Lane = E::Lane>>(x: &Tile<E>, axis: Span) -> Tile<R>
where
    E::Lane: Number,
{
    let least = range::<E>().map_or(Wide::Float(f64::NEG_INFINITY), |(least, _)| Wide::Int(least));
    x.reduce::<R>(axis.id, |lanes| lanes.fold(E::Lane::from_wide(least), Number::larger))
}

/// The smallest along an axis; of none the greatest value of the type.
#[must_use]
pub fn reduce_min<E: Element, R: Element<Lane = E::Lane>>(x: &Tile<E>, axis: Span) -> Tile<R>
where
    E::Lane: Number,
{
    let greatest = range::<E>().map_or(Wide::Float(f64::INFINITY), |(_, greatest)| Wide::Int(greatest));
    x.reduce::<R>(axis.id, |lanes| lanes.fold(E::Lane::from_wide(greatest), Number::smaller))
}

/// The lowest global index of the largest along an axis.
#[must_use]
pub fn reduce_argmax<E: Element>(x: &Tile<E>, axis: Span) -> Tile<i32>
where
    E::Lane: Number,
{
    extreme_at(x, axis, |lane, best| lane > best)
}

/// The lowest global index of the smallest along an axis.
#[must_use]
pub fn reduce_argmin<E: Element>(x: &Tile<E>, axis: Span) -> Tile<i32>
where
    E::Lane: Number,
{
    extreme_at(x, axis, |lane, best| lane < best)
}

/// NaN wins over all, the first of them.
fn extreme_at<E: Element>(x: &Tile<E>, axis: Span, wins: impl Fn(E::Lane, E::Lane) -> bool) -> Tile<i32>
where
    E::Lane: Number,
{
    x.reduce::<i32>(axis.id, |lanes| {
        let mut best: Option<(i32, E::Lane)> = None;
        for (at, lane) in (axis.begin..).zip(lanes) {
            let better = |best: E::Lane| !best.is_nan() && (lane.is_nan() || wins(lane, best));
            if best.is_none_or(|(_, best)| better(best)) {
                best = Some((at, lane));
            }
        }
        best.map_or(axis.begin, |(at, _)| at)
    })
}

/// Whether any lane along an axis is set.
#[must_use]
pub fn reduce_any(x: &Tile<bool>, axis: Span) -> Tile<bool> {
    x.reduce::<bool>(axis.id, |lanes| lanes.fold(false, |any, lane| any | lane))
}

/// Whether all lanes along an axis are set.
#[must_use]
pub fn reduce_all(x: &Tile<bool>, axis: Span) -> Tile<bool> {
    x.reduce::<bool>(axis.id, |lanes| lanes.fold(true, |all, lane| all & lane))
}

/// The closure between all lanes along an axis, from the first to the last.
#[must_use]
pub fn fold<E: Element>(
    x: &Tile<E>,
    axis: Span,
    init: &Tile<E>,
    closure: impl Fn(&Tile<E>, &Tile<E>) -> Tile<E>,
) -> Tile<E> {
    let axes = x.axes.without(axis.id);
    let mut folded = Tile { lanes: vec![init.get(); axes.elements()], axes };
    for at in 0..x.axes.length(axis.id) {
        folded = closure(&folded, &x.slice(axis.id, at));
    }
    folded
}

/// The contraction over an axis; axes that both have are batch axes.
#[must_use]
pub fn dot<A, B, R>(lhs: &Tile<A>, rhs: &Tile<B>, axis: Span) -> Tile<R>
where
    A: Element,
    B: Element<Lane = A::Lane>,
    R: Element<Lane = A::Lane>,
    A::Lane: Number,
{
    let axes = lhs.axes.union(&rhs.axes).without(axis.id);
    let (count, left, right) = (axis.count(), lhs.axes.stride(axis.id), rhs.axes.stride(axis.id));
    let operands: [Strides; 2] = [lhs.axes.strides(&axes), rhs.axes.strides(&axes)];
    let mut lanes = Vec::with_capacity(axes.elements());
    axes.walk(&operands, |at| {
        let pairs = (0..count).map(|i| (lhs.lanes[at[0] + i * left], rhs.lanes[at[1] + i * right]));
        lanes.push(rounded::<R>(A::Lane::dot(pairs)));
    });
    Tile { axes, lanes }
}
