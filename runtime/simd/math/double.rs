//! f64 functions that the standard library lacks, on scalars.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

/// The error function.
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// `Φ(-x)`, the upper tail of the normal distribution: `erfc(x/√2) / 2`. Where `x/√2` is rounded, erfc would
/// magnify the error by twice its square; its slope takes that back.
fn normal_tail(x: f64) -> f64 {
    /// `1/√2` less its nearest f64.
    const LOW: f64 = -4.833646656726457e-17;
    let a = x * FRAC_1_SQRT_2;
    let low = x.mul_add(FRAC_1_SQRT_2, -a) + x * LOW;
    0.5 * (libm::erfc(a) - FRAC_2_SQRT_PI * (-a * a).exp() * low)
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
    x.max(-50.0) * normal_tail(-x.clamp(-50.0, 50.0))
}

/// `x · sigmoid(√(8/π)(x + 0.044715 x³))`; the limit −0 at −∞.
pub fn gelu_tanh(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(-30.0) * sigmoid((8.0 / PI).sqrt() * (x + 0.044715 * x * x * x)) }
}
