//! A word that is no part of the attribute.

use tilewright::prelude::*;

#[derive(Weights)]
#[weights(dimensions(N))]
struct Linear {
    #[weight("bias", sahpe = N)]
    bias: Tensor<f32>,
}

fn main() {}
