//! The entry points: `#[kernel]`, `#[kernels]`, `#[device]`, `#[derive(Weights)]`.
