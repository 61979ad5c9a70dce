//! Only a list counts.

use tilewright::prelude::*;

#[derive(Weights)]
struct Model {
    #[weight("layer.{i}.weight")]
    weight: Tensor<f32>,
}

fn main() {}
