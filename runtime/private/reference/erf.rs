//! The error function in f64: by series near 0 and by continued fraction in the tail, so that the
//! relative error stays near the last bit everywhere, also of `erfc`.

use std::f64::consts::PI;

/// From here on the continued fraction converges faster than the series.
const TAIL: f64 = 2.0;

/// The error function.
pub(super) fn erf(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x.abs() < TAIL {
        series(x)
    } else {
        (1.0 - tail(x.abs())).copysign(x)
    }
}

/// `1 - erf(x)`, without cancellation.
pub(super) fn erfc(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x < 1.0 {
        // Loses log2(1 / erfc(1)) < 3 bits.
        1.0 - erf(x)
    } else {
        tail(x)
    }
}

/// Abramowitz and Stegun 7.1.6: `2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1))`; all terms have one sign.
fn series(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-18 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    2.0 / PI.sqrt() * gauss(x) * sum
}

fn tail(x: f64) -> f64 {
    if x > 28.0 { 0.0 } else { fraction(x, 20 + (400.0 / (x * x)) as u32) }
}

/// Abramowitz and Stegun 7.1.14: `e^(-x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …))))`.
fn fraction(x: f64, terms: u32) -> f64 {
    let denominator = (1..=terms).rev().fold(x, |below, n| x + f64::from(n) * 0.5 / below);
    gauss(x) / PI.sqrt() / denominator
}

/// `e^(-x²)`, with the rounding error of `x²` taken into account.
fn gauss(x: f64) -> f64 {
    let square = x * x;
    let error = x.mul_add(x, -square);
    (-square).exp() * (1.0 - error)
}
