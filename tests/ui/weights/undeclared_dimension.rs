//! With `dims`, a shape names only those.

use tilewright::prelude::*;

#[derive(Weights)]
#[weights(dims(N, K))]
struct Linear {
    #[weight("weight", shape = (N, J))]
    weight: Tensor<f32>,
}

fn main() {}
