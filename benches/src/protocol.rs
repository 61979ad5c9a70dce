//! How `versus.py` drives a contestant: one question a line on the standard input, one answer a line.
//!
//! ```text
//! > info
//! < tilewright 0.1.0, avx512
//! > open softmax 4096x1024        inputs and output are allocated and touched
//! < ok                            or `unknown`: the row is not among ours; or `error: …`
//! > save result.bin               calls once, then writes the output: f32 or i32, little endian
//! < ok
//! > time
//! < 0.000412                      seconds of one call
//! > close
//! < ok
//! ```
//!
//! Inputs are functions of a seed and a position, the same here as in versus/inputs.py, so results compare.

use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An operation with all it needs.
pub struct Row {
    /// From the inputs to the output, both allocated before where the library allows it.
    pub call: Box<dyn FnMut() -> Result<(), Failure>>,
    /// The bytes of the output after a call.
    pub result: Box<dyn Fn() -> Result<Vec<u8>, Failure>>,
}

/// Answers until the input ends. `open` finds a row by operation and lengths; `other` answers what is
/// not in the protocol.
pub fn serve(
    info: &str,
    open: impl Fn(&str, &[usize]) -> Result<Option<Row>, Failure>,
    other: impl Fn(&str) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let mut row = None;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (question, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = catch_unwind(AssertUnwindSafe(|| match question {
            "info" => Ok(info.to_owned()),
            "open" => {
                row = open_row(&open, rest)?;
                Ok(if row.is_some() { "ok" } else { "unknown" }.to_owned())
            }
            "save" => save(row.as_mut().ok_or("no row is open")?, rest),
            "time" => Ok(time(row.as_mut().ok_or("no row is open")?)?.to_string()),
            "close" => {
                row = None;
                Ok("ok".to_owned())
            }
            _ => other(&line),
        }));
        let answer = answer.unwrap_or_else(|_| Err("it panicked".into()));
        let text = answer.unwrap_or_else(|e: Failure| format!("error: {e}"));
        writeln!(out, "{}", text.replace('\n', " "))?;
        out.flush()?;
    }
    Ok(())
}

/// From a name as `softmax 4096x1024`.
fn open_row(
    open: impl Fn(&str, &[usize]) -> Result<Option<Row>, Failure>,
    name: &str,
) -> Result<Option<Row>, Failure> {
    let (operation, shape) = name.split_once(' ').ok_or("a row has a shape")?;
    let shape = shape.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    open(operation, &shape)
}

fn save(row: &mut Row, path: &str) -> Result<String, Failure> {
    (row.call)()?;
    std::fs::write(path, (row.result)()?)?;
    Ok("ok".to_owned())
}

/// One call to wake threads and warm caches, then the median of as many as fit into 20 ms.
fn time(row: &mut Row) -> Result<f64, Failure> {
    let mut timed = || {
        let start = Instant::now();
        (row.call)().map(|()| start.elapsed().as_secs_f64())
    };
    let n_calls = (0.02 / timed()?).clamp(1.0, 200.0) as usize;
    let mut seconds = (0..n_calls).map(|_| timed()).collect::<Result<Vec<_>, _>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

/// Thirty-two bits that look random, of a seed and a position.
fn hash(seed: u32, at: u32) -> u32 {
    let mut bits = at.wrapping_mul(0x9e37_79b1) ^ seed.wrapping_mul(0x85eb_ca77);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2c1b_3c6d);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297a_2d39);
    bits ^ (bits >> 15)
}

/// Uniform in -2..2.
pub fn floats(seed: u32, count: usize) -> Vec<f32> {
    (0..count as u32).map(|at| (hash(seed, at) >> 8) as f32 / (1 << 22) as f32 - 2.0).collect()
}

/// Uniform over all bytes.
#[allow(dead_code, reason = "not every contestant has integer rows")]
pub fn bytes(seed: u32, count: usize) -> Vec<i8> {
    (0..count as u32).map(|at| (hash(seed, at) >> 24) as i8).collect()
}

/// Uniform in 0..end.
pub fn indices(seed: u32, count: usize, end: usize) -> Vec<u32> {
    (0..count as u32).map(|at| hash(seed, at) % end as u32).collect()
}
