//! f64 functions that the standard library lacks, on scalars.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The error function.
pub fn erf(x: f64) -> f64 {
    let t = x.abs();
    let y = if t < 1.0 { taylor(t) } else { 1.0 - gauss(t, 1.0) * scaled_erfc(t) };
    y.copysign(x)
}

/// `2/√π Σ (-1)^n x^(2n+1) / (n! (2n+1))`, for `x < 1`.
fn taylor(x: f64) -> f64 {
    let (mut sum, mut term) = (0.0, x);
    for n in 1..24 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    (x + sum) * std::f64::consts::FRAC_2_SQRT_PI
}

/// `exp(-x² scale)`, with the rounding error of the square; `scale` is a power of 2.
fn gauss(x: f64, scale: f64) -> f64 {
    let square = x * x;
    let low = x.mul_add(x, -square);
    let low = if low.is_finite() { low } else { 0.0 };
    (-square * scale).exp() * (1.0 - low * scale)
}

/// `exp(x²) erfc(x)` for `x >= 1`: the continued fraction, from a level where it has converged.
fn scaled_erfc(x: f64) -> f64 {
    let levels = 20 + (180.0 / (x * x)) as i32;
    let mut f = x;
    for n in (1..levels).rev() {
        f = x + 0.5 * f64::from(n) / f;
    }
    std::f64::consts::FRAC_2_SQRT_PI * 0.5 / f
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
    if x.is_nan() {
        return x;
    }
    let t = x.abs() * FRAC_1_SQRT_2;
    if t < 1.0 {
        return x * 0.5 * (1.0 + erf(x * FRAC_1_SQRT_2));
    }
    let tail = x.clamp(-50.0, 50.0).abs();
    let tail = gauss(tail, 0.5) * scaled_erfc(tail * FRAC_1_SQRT_2) * 0.5;
    if x < 0.0 { x.max(-50.0) * tail } else { x * (1.0 - tail) }
}

/// `x · sigmoid(√(8/π)(x + 0.044715 x³))`; the limit −0 at −∞.
pub fn gelu_tanh(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(-30.0) * sigmoid((8.0 / PI).sqrt() * (x + 0.044715 * x * x * x)) }
}
