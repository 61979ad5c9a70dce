//! A tensor has a name, a structure a prefix.

use tilewright::prelude::*;

#[derive(Weights)]
struct Model {
    #[weight(prefix = "linear.")]
    linear: String,
}

fn main() {}
