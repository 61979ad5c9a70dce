//! The vector loop, and lanes from scalars.

use crate::element::{Element, Vector as Of};
use crate::simd::{Cast, Integers, Lane, Odd, Simd, Vector};

/// Calls `body(at)` for all of `0 .. len` but a rest, four vectors at a time from `at`, where a set of instructions has
/// the registers for it; how many lanes that are.
#[inline(always)]
pub fn fours<S: Simd>(len: usize, mut body: impl FnMut(usize)) -> usize {
    let end = if S::HAS_ROOM_FOR_FOUR { whole(len, 4 * S::LANES) } else { 0 };
    let mut at = 0;
    while at < end {
        body(at);
        at += 4 * S::LANES;
    }
    end
}

/// Calls `part(i, at)` for each of the four vectors from `first` on.
#[inline(always)]
pub fn each_of_four<S: Simd>(first: usize, mut part: impl FnMut(usize, usize)) {
    part(0, first);
    part(1, first + S::LANES);
    part(2, first + 2 * S::LANES);
    part(3, first + 3 * S::LANES);
}

/// Calls `body(at, n, slot, unit)` for all of `begin .. len`, a vector of `n` lanes from `at` at a time: `n` is `LANES`, a
/// constant, up to the last vector. With `UNROLL`, that many vectors are in flight and `slot` numbers them, so that a
/// reduction can have as many accumulators. `unit` says whether lanes are contiguous in memory: a constant in either
/// copy of the loop. `begin <= len` is a multiple of `LANES`, and so is each `at`; `IS_HEAVY` if the body calls functions.
#[inline(always)]
pub fn lanes<S: Simd, const UNROLL: usize, const IS_HEAVY: bool>(
    begin: usize,
    len: usize,
    unit: bool,
    mut body: impl FnMut(usize, usize, usize, bool),
) {
    let mut at = begin;
    if unit {
        if UNROLL == 4 {
            while at + 4 * S::LANES <= len {
                body(at, S::LANES, 0, true);
                body(at + S::LANES, S::LANES, 1, true);
                body(at + 2 * S::LANES, S::LANES, 2, true);
                body(at + 3 * S::LANES, S::LANES, 3, true);
                at += 4 * S::LANES;
            }
        }
        if IS_HEAVY {
            // An end that is known before takes a register less. Short loops would be unrolled by it.
            let end = begin + whole(len - begin, S::LANES);
            while at < end {
                body(at, S::LANES, 0, true);
                at += S::LANES;
            }
        } else {
            while at + S::LANES <= len {
                body(at, S::LANES, 0, true);
                at += S::LANES;
            }
        }
        if at < len {
            body(at, len - at, 0, true);
        }
    } else {
        while at < len {
            body(at, S::LANES.min(len - at), 0, false);
            at += S::LANES;
        }
    }
}

/// The multiples of `part` in `length`, together.
#[inline(always)]
fn whole(length: usize, part: usize) -> usize {
    length - length % part
}

/// All lanes `x`.
#[inline(always)]
pub fn splat<S: Simd, L: Lane>(x: L) -> L::Of<S> {
    Vector::splat(x)
}

/// All lanes 0.
#[inline(always)]
pub fn zero<S: Simd, E: Element>() -> Of<S, E> {
    Vector::splat(E::default().to_lane())
}

/// Lane by lane to another lane type.
#[inline(always)]
pub fn convert<From: Cast<To>, To>(x: From) -> To {
    x.cast()
}

/// Lane by lane to f32 on the way to a float type `E`, such that rounding to `E` afterwards rounds once: to
/// nearest for f32 itself, to odd for the half types.
#[inline(always)]
pub fn convert_to_float<S: Simd, E: Element, From: Odd>(x: From::Of<S>) -> S::F32
where
    From::Of<S>: Cast<S::F32>,
{
    if E::KIND.size() == 4 { x.cast() } else { Vector::from_lanes(|i| x.lane(i).odd()) }
}

/// Every lane by the same number.
#[inline(always)]
pub fn divide_by<S: Simd>(x: S::F32, by: f32) -> S::F32 {
    crate::simd::divide_by::<S>(x, by)
}

/// Lanes within `low ..= high`: what saturating to a small integer type does.
#[inline(always)]
pub fn narrow<V: Integers<Scalar = i32>>(x: V, low: i32, high: i32) -> V {
    x.max(V::splat(low)).min(V::splat(high))
}
