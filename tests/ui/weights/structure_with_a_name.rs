//! A structure has a prefix, a tensor a name.

use tilewright::prelude::*;

#[derive(Weights)]
struct Model {
    #[weight("linear")]
    linear: String,
}

fn main() {}
