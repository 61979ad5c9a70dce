//! A field is a tensor or a structure.

use tilewright::prelude::*;

#[derive(Weights)]
struct Model {
    #[weight("weight", prefix = "linear.")]
    linear: Tensor<f32>,
    #[weight(convert)]
    other: Tensor<f32>,
}

fn main() {}
