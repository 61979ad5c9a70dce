//! An Option is said to be optional.

use tilewright::prelude::*;

#[derive(Weights)]
struct Linear {
    #[weight("bias")]
    bias: Option<Tensor<f32>>,
}

fn main() {}
