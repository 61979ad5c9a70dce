//! Reductions over lanes.

use crate::simd::{Floats, Masks, Simd, Vector};

/// The lanes `< n`, the others the identity. Free where `n` is the constant `LANES`.
#[inline(always)]
pub fn live<V: Vector>(lanes: V, n: usize, identity: V) -> V {
    if n >= V::LANES { lanes } else { lanes.first(n, identity) }
}

/// The largest number so far of each lane, or the smallest, and NaN if one was: with AVX-512 two instructions a vector
/// that do not wait for one another.
#[derive(Clone, Copy)]
pub struct Peak<V> {
    best: V,
    /// A number if all were.
    nan: V,
}

impl<V: Floats> Peak<V> {
    /// None so far. `identity`: -∞, or ∞ for the smallest.
    #[inline(always)]
    pub fn none(identity: V) -> Self {
        Peak { best: identity, nan: identity }
    }

    /// Takes all lanes in.
    #[inline(always)]
    #[must_use]
    pub fn with(self, lanes: V, least: bool) -> Self {
        Peak { nan: self.nan.or_nan(lanes), ..self.with_numbers(lanes, least) }
    }

    /// Takes all lanes in that are numbers.
    #[inline(always)]
    #[must_use]
    pub fn with_numbers(self, lanes: V, least: bool) -> Self {
        let best = if least { lanes.smaller(self.best) } else { lanes.larger(self.best) };
        Peak { best, ..self }
    }

    /// Of both.
    #[inline(always)]
    #[must_use]
    pub fn and(self, other: Self, least: bool) -> Self {
        let best = if least { self.best.smaller(other.best) } else { self.best.larger(other.best) };
        Peak { best, nan: self.nan.or_nan(other.nan) }
    }

    /// Of all lanes; `nan` if one was.
    #[inline(always)]
    pub fn of_all(self, nan: V::Scalar, least: bool) -> V::Scalar {
        let lanes = V::select(self.nan.eq(self.nan), self.best, V::splat(nan));
        if least { lanes.reduce_min() } else { lanes.reduce_max() }
    }
}

/// The extreme so far and its lowest index, a pair a lane; index -1: none so far.
#[derive(Clone, Copy)]
pub struct Extreme<S: Simd, V> {
    /// The extreme.
    pub best: V,
    /// Its lowest index.
    pub index: S::I32,
}

impl<S: Simd, V: Vector<Mask = S::Mask>> Extreme<S, V> {
    /// None so far.
    #[inline(always)]
    pub fn none(any: V) -> Self {
        Extreme { best: any, index: S::I32::splat(-1) }
    }

    /// Takes lanes `< n` of `lanes` in, whose indices are `index`, above all before. NaN is the extreme.
    #[inline(always)]
    #[must_use]
    pub fn with(self, lanes: V, index: S::I32, n: usize, least: bool) -> Self {
        let beyond = if least { lanes.lt(self.best) } else { lanes.gt(self.best) };
        let nan = Masks::and(lanes.ne(lanes), self.best.eq(self.best));
        let first = self.index.lt(S::I32::splat(0));
        let better = Masks::or(Masks::or(beyond, nan), first);
        let better = Masks::and(better, S::Mask::first_lanes(n));
        Extreme {
            best: V::select(better, lanes, self.best),
            index: S::I32::select(better, index, self.index),
        }
    }

    /// The lowest index of the extreme of all lanes.
    #[inline(always)]
    pub fn index(self, least: bool) -> i32
    where
        V::Scalar: PartialOrd,
    {
        let (mut best, mut index) = (self.best.lane(0), self.index.lane(0));
        for i in 1..V::LANES {
            let (other, at) = (self.best.lane(i), self.index.lane(i));
            if at < 0 {
                continue;
            }
            #[expect(clippy::eq_op, reason = "NaN is not equal to itself")]
            let (is_nan, was_nan) = (other != other, best != best);
            let beyond = if least { other < best } else { other > best };
            let same = other == best || (is_nan && was_nan);
            let better = index < 0 || (is_nan && !was_nan) || (beyond && !was_nan) || (same && at < index);
            if better {
                (best, index) = (other, at);
            }
        }
        index
    }
}
