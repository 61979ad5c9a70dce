//! Checked tile IR to plain scalar Rust.
