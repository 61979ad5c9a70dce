//! A dimension is a name, a number, a product or `_`.

use tilewright::prelude::*;

#[derive(Weights)]
struct Linear {
    #[weight("weight", shape = (N + 1, K))]
    weight: Tensor<f32>,
    #[weight("bias", shape = (0 * N))]
    bias: Tensor<f32>,
}

fn main() {}
