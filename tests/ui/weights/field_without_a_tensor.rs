//! Every field names its tensor.

use tilewright::prelude::*;

#[derive(Weights)]
struct Linear {
    #[weight("weight")]
    weight: Tensor<f32>,
    bias: Tensor<f32>,
}

fn main() {}
