//! `random_kernels!(count)`: well-typed random kernels, one signature for all, and a table of them.
//!
//! The seed is the environment variable `TILEWRIGHT_RANDOM_SEED` at build time, 1 without it. Values
//! stay within a few units, and whatever is not continuous (comparisons, rounding, argmax) is applied
//! to loaded values only, so that two correct backends agree to a small tolerance.

mod generate;

use proc_macro::TokenStream;

/// Expands to `count` kernels named `random_0`, … and `const KERNELS: &[(&str, Run, Run)]`: name,
/// the kernel with a `Config`, the reference.
#[proc_macro]
pub fn random_kernels(count: TokenStream) -> TokenStream {
    let count: u32 = count.to_string().trim().parse().unwrap_or(16);
    let seed = std::env::var("TILEWRIGHT_RANDOM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    match generate::program(seed.unwrap_or(1), count).parse::<TokenStream>() {
        Ok(tokens) => tokens,
        Err(error) => panic!("the generator wrote what is not Rust: {error}"),
    }
}
