//! The vector loop, and lanes from scalars.

use crate::element::{Element, Vector as Of};
use crate::simd::{Cast, Integers, Lane, Odd, Simd, Vector};

/// Calls `body(at, n, slot, unit)` for all of `0 .. len`, a vector of `n` lanes from `at` at a time: `n`
/// is `LANES`, a constant, up to the last vector. With `UNROLL`, that many vectors are in flight and
/// `slot` numbers them, so that a reduction can have as many accumulators. `unit` says whether lanes are
/// contiguous in memory: a constant in either copy of the loop.
#[inline(always)]
pub fn lanes<S: Simd, const UNROLL: usize>(
    len: usize,
    unit: bool,
    mut body: impl FnMut(usize, usize, usize, bool),
) {
    let mut at = 0;
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
        while at + S::LANES <= len {
            body(at, S::LANES, 0, true);
            at += S::LANES;
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
