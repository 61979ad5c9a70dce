//! Sums of `exp(x - max(x))` in one pass.
//!
//! The difference keeps the exponentials in range, so the maximum seems to come first, in a pass of its own. But any
//! number near it does as well: here the exponentials are of `x` itself, and times `2^-k` for a whole `k` that the first
//! `x` gives, which only adds to their exponents. The sum is right if all that matters was in range, which the maximum
//! tells in the end; else there are two passes. (Milakov and Gimelshein, "Online normalizer calculation for softmax",
//! 2018, scale the sum anew whenever the maximum so far grows.)

use super::all;
use super::exp::{LN2, add_shifted, exp_near};
use crate::simd::{One, Simd};

/// Where `exp(x) 2^-k` is a number that can be summed.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    first: f32,
    k: f32,
    /// Below it exponentials are 0.
    least: f32,
}

/// How far the maximum may be above `k ln 2`: its exponential is less than 10^35 then, so that thousands can be added up.
const ABOVE: f32 = 80.4;
/// Where exponentials end below `k ln 2`: exp(LEAST) is above 2^-125, twice the least normal number, as bounds are rounded.
const LEAST: f32 = -86.0;
/// How far the maximum may be below `k ln 2`: what is 0 is less than e^-45 of its exponential then, and does not show in a
/// sum of 10^12.
const BELOW: f32 = 41.0;
/// Where the first is, as the maximum can only be above it.
const FIRST: f32 = -40.0;

impl Window {
    /// For a maximum from `first` to 120 above it; from -20 if that is not finite or is large.
    #[inline(always)]
    #[must_use]
    pub fn from(first: f32) -> Window {
        const LARGE: f32 = 65_536.0;
        let near = if first.abs() <= LARGE { first } else { -20.0 };
        // Rounded to a whole number as in `exp`.
        let whole = 1.5 * (1 << 23) as f32;
        let k = (near - FIRST) * std::f32::consts::LOG2_E + whole - whole;
        Window { first, k, least: k * std::f32::consts::LN_2 + LEAST }
    }

    /// `sum + exp(x) 2^-k`, the latter within a few units of the last place, and but for a factor that is the same for
    /// all near one another; the sum for `x` below the window, any number above it, and NaN of NaN.
    #[inline(always)]
    pub fn add<S: Simd>(self, sum: S::F32, x: S::F32) -> S::F32 {
        add_shifted::<S>(sum, x, all::<S>(self.k), self.least)
    }

    /// `Σ exp(x - max)` of `n` numbers, given the maximum and the sum of [`Window::add`]. `None` if that is not within the
    /// window, or if all may be equal: exp(0) = 1 adds up without rounding, another number is rounded alike each time.
    #[inline(always)]
    #[must_use]
    pub fn sum(self, max: f32, sum: f32, n: usize) -> Option<f32> {
        let above = max - self.k * std::f32::consts::LN_2;
        // The sum is NaN if an x was NaN or ∞.
        if !(sum < f32::INFINITY && (-BELOW..ABOVE).contains(&above)) {
            return None;
        }
        // With ln 2 as the exponentials were reduced by: what is left out of it is the factor that they have.
        let whole = (max * std::f32::consts::LOG2_E).round_ties_even();
        let rest = whole.mul_add(LN2[0], -max);
        let sum = sum * f32::from_bits((((self.k - whole) as i32 + 127) << 23) as u32);
        // 1 is one of the terms.
        let sum = exp_near::<One>(rest).mul_add(sum, sum).max(1.0);
        (max != self.first || sum < 0.75 * n as f32).then_some(sum)
    }
}
