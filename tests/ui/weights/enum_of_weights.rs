//! Weights are bound to structs.

use tilewright::prelude::*;

#[derive(Weights)]
enum Model {
    Small,
}

#[derive(Weights)]
struct Tuple(Tensor<f32>);

fn main() {}
