//! A tensor is not its own stand-in.

use tilewright::prelude::*;

#[derive(Weights)]
struct Model {
    #[weight("head", tied = "head")]
    head: Tensor<f32>,
}

fn main() {}
