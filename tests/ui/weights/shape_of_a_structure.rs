//! A structure has a prefix and no shape.

use tilewright::prelude::*;

#[derive(Weights)]
struct Linear {
    #[weight("weight")]
    weight: Tensor<f32>,
}

#[derive(Weights)]
struct Model {
    #[weight(prefix = "linear.", shape = (N, K))]
    linear: Linear,
}

fn main() {}
