//! What may be absent is an Option.

use tilewright::prelude::*;

#[derive(Weights)]
struct Linear {
    #[weight("bias", optional)]
    bias: Tensor<f32>,
}

fn main() {}
