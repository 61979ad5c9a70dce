//! What `#[kernel]`, `#[kernels]` and `#[device]` expand to lives with any names around it, under
//! strict lints, inside functions, and with helpers and device functions.
#![deny(warnings, missing_docs, unreachable_pub, clippy::all, unsafe_code, unused_qualifications)]

use tilewright::prelude::*;

/// `x · eˣ` with the growth cut off.
#[device]
pub fn bounded(x: f32) -> f32 {
    let y = x * exp(x);
    if y > 10.0 { 10.0 } else { y }
}

/// `F(x) + by`, for any device function.
#[kernel]
pub fn applied<F: Fn(f32) -> f32, T: Float, M>(x: &Tensor<T, M>, out: &mut Tensor<T, M>, by: f64) {
    for m in tile(M) {
        out[m] = (F(x[m]) + by).cast();
    }
}

#[allow(dead_code, non_camel_case_types, reason = "names that generated code must not meet")]
mod traps {
    use tilewright::prelude::{Tensor, kernel};
    enum Result {
        Bad,
    }
    enum Option {
        Bad,
    }
    struct Ok;
    struct Config;
    fn max() {}
    mod core {}
    mod std {}

    #[kernel]
    pub(crate) fn dot<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>, config: f32, launch: usize) {
        for program in tile(M) {
            let v0 = x[program] * config;
            out[program] = max(v0, 0.0) + launch as f32;
        }
    }
}

#[kernels]
mod normalisation {
    use tilewright::prelude::*;

    const EPSILON: f32 = 1e-5;

    fn centred<E: Float>(x: Tile<E>, n: Axis) -> Tile<f32> {
        x - x.mean(n)
    }

    #[kernel]
    pub(super) fn layer_norm<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
        for m in tile(M) {
            let x = centred(x[(m, ..)], N);
            out[(m, ..)] = (x * rsqrt((x * x).mean(N) + EPSILON)).cast();
        }
    }
}

fn vector(elements: &[f32]) -> Tensor<f32> {
    Tensor::from_vec(elements.len(), elements.to_vec()).expect("the shape fits")
}

#[test]
fn a_device_function_is_a_function_and_a_type() {
    let mut out = Tensor::<f32>::zeros(2);
    applied::reference::<bounded, f32>(&vector(&[1.0, 5.0]), &mut out, 0.5).expect("it runs");
    assert_eq!(out.to_vec(), [bounded(1.0) + 0.5, 10.5]);
}

#[test]
fn a_kernel_called_like_a_builtin_lives_among_hostile_names() {
    let mut out = Tensor::<f32>::zeros(2);
    traps::dot::reference(&vector(&[1.0, -1.0]), &mut out, 2.0, 3).expect("it runs");
    assert_eq!(out.to_vec(), [5.0, 3.0]);
}

#[test]
fn helpers_and_constants_are_inlined() {
    let x = Tensor::from_vec((1, 2), vec![1.0, 3.0]).expect("the shape fits");
    let mut out = Tensor::<f32>::zeros((1, 2));
    normalisation::layer_norm::reference(&x, &mut out).expect("it runs");
    for (found, expected) in out.to_vec().into_iter().zip([-1.0, 1.0]) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
}

#[test]
fn a_kernel_inside_a_function_works() {
    #[kernel]
    fn local<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
        for m in tile(M) {
            out[m] = bounded(x[m]);
        }
    }
    let mut out = Tensor::<f32>::zeros(1);
    local::reference(&vector(&[0.0]), &mut out).expect("it runs");
    assert_eq!(out.to_vec(), [0.0]);
    assert!(local::schedule().contains("call bounded"));
}
