//! A dimension is shared or local.

use tilewright::prelude::*;

#[derive(Weights)]
#[weights(dims(N, K), local(N))]
struct Linear {
    #[weight("weight", shape = (N, K))]
    weight: Tensor<f32>,
}

fn main() {}
