//! f64 functions that the standard library lacks, on scalars.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The error function.
pub fn erf(x: f64) -> f64 {
    let t = x.abs();
    let y = if t < 2.0 { taylor(t) } else { 1.0 - erfc_tail(t) };
    y.copysign(x)
}

/// `1 - erf(x)`.
fn erfc(x: f64) -> f64 {
    if x < 2.0 { 1.0 - erf(x) } else { erfc_tail(x) }
}

/// `2/√π Σ (-1)^n x^(2n+1) / (n! (2n+1))`.
fn taylor(x: f64) -> f64 {
    let (mut sum, mut term) = (x, x);
    for n in 1..60 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / PI.sqrt()
}

/// The continued fraction of erfc, from the 60th level up.
fn erfc_tail(x: f64) -> f64 {
    let mut f = x;
    for n in (1..60).rev() {
        f = x + 0.5 * f64::from(n) / f;
    }
    (-x * x).exp() / (f * PI.sqrt())
}

/// `1 / (1 + exp(-x))`.
pub fn sigmoid(x: f64) -> f64 {
    let w = (-x.abs()).exp();
    if x < 0.0 { w / (1.0 + w) } else { 1.0 / (1.0 + w) }
}

/// `x · sigmoid(x)`; the limit −0 at −∞.
pub fn silu(x: f64) -> f64 {
    x.max(-800.0) * sigmoid(x)
}

/// `x/2 · (1 + erf(x/√2))`; the limit −0 at −∞.
pub fn gelu(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(-50.0) * 0.5 * erfc(-x * FRAC_1_SQRT_2) }
}

/// `x · sigmoid(√(8/π)(x + 0.044715 x³))`; the limit −0 at −∞.
pub fn gelu_tanh(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(-30.0) * sigmoid((8.0 / PI).sqrt() * (x + 0.044715 * x * x * x)) }
}
