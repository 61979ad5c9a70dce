//! Loop nests to SIMD Rust.
