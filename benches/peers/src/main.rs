//! Other crates' kernels for `versus.py`, by the lines that ../src/protocol.rs describes.
//!
//! `rust-peers gemm 2` answers for the gemm crate on two threads, `rust-peers candle 2` for candle.

mod candle;
mod gemm;
#[path = "../../src/protocol.rs"]
mod protocol;

use protocol::Failure;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, threads] = &arguments[..] else { return Err("usage: rust-peers gemm|candle THREADS".into()) };
    let threads: usize = threads.parse()?;
    let other = |line: &str| Err(format!("no such question: {line}").into());
    match peer.as_str() {
        "gemm" => {
            protocol::serve("gemm crate", |operation, shape| gemm::open(operation, shape, threads), other)
        }
        "candle" => protocol::serve("candle-core, candle-nn", candle::open, other),
        _ => Err(format!("no such peer: {peer}").into()),
    }
}
