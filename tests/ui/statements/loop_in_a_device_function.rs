use tilewright::prelude::*;

#[device]
fn power(x: f32) -> f32 {
    let mut y = 1.0;
    for _ in 0..3 {
        y = y * x;
    }
    y
}

fn main() {}
