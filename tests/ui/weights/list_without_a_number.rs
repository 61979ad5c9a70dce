//! A list counts with {i}.

use tilewright::prelude::*;

#[derive(Weights)]
struct Model {
    #[weight("layer.weight")]
    weights: Vec<Tensor<f32>>,
}

fn main() {}
