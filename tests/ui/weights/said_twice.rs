//! Each thing is said once.

use tilewright::prelude::*;

#[derive(Weights)]
struct Model {
    #[weight("head", shape = N, shape = N)]
    head: Tensor<f32>,
    #[weight("other")]
    #[weight("another")]
    other: Tensor<f32>,
}

fn main() {}
