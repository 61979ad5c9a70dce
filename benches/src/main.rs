//! Our kernels for `versus.py`, which drives it by the lines that protocol.rs describes, and the floors.
//!
//! ```text
//! > floor fma 2                   GFLOP/s of fused multiply-adds, on two threads
//! < 302.6
//! > floor copy 2 134217728        GB/s through arrays of that many bytes together
//! < 21.3
//! ```

mod bandwidth;
mod kernels;
mod model;
mod peak;
mod protocol;
mod rows;

use protocol::Failure;

fn main() -> Result<(), Failure> {
    let isa = tilewright::simd::InstructionSet::detect()?.name();
    protocol::serve(&format!("tilewright {}, {isa}", env!("CARGO_PKG_VERSION")), rows::open, floor)
}

fn floor(question: &str) -> Result<String, Failure> {
    let words: Vec<&str> = question.split(' ').collect();
    let rate = match words[..] {
        ["floor", "fma", threads] => peak::gflops(peak::Multiply::F32, threads.parse()?),
        ["floor", "int8", threads] => peak::gflops(peak::Multiply::I8, threads.parse()?),
        ["floor", traffic, threads, bytes] => {
            let traffic = bandwidth::Traffic::parse(traffic).ok_or("read, write, copy or triad")?;
            bandwidth::gigabytes(traffic, threads.parse()?, bytes.parse()?)
        }
        _ => return Err(format!("no such question: {question}").into()),
    };
    Ok(rate.to_string())
}
