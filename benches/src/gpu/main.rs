//! Times our kernels on a GPU: the rows of the table, by themselves or in turn with a peer.
//!
//! ```text
//! gpu --device cuda:0 --json results.json    a table, each row the median of its rounds
//! gpu --device cuda:0 --serve                answers lines of the standard input, as gpu_peers.py sends them:
//! > rows                                     < [{"name": "softmax 4096x1024", "bytes": …, "flops": …}, …]
//! > softmax 4096x1024                        < 0.0000123        seconds of one call
//! > save softmax 4096x1024                   < saved            calls it once; inputs and result go to --tensors FILE
//! ```
//!
//! A call that fails is answered with `error: …`. `--quick` takes small shapes. On an emulated device figures mean
//! nothing, and the table says so.

mod kernels;
mod rows;

use rows::{Row, rows};
use std::io::{BufRead, Write};
use std::time::Instant;
use tilewright::prelude::*;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Rounds of the table.
const ROUNDS: usize = 7;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| {
        let at = arguments.iter().position(|word| word == flag)?;
        arguments.get(at + 1).cloned()
    };
    let device: Device = after("--device").unwrap_or_else(|| "cuda:0".into()).parse()?;
    let quick = arguments.iter().any(|word| word == "--quick");
    let mut rows = rows(&device, quick)?;
    let seconds = if quick { 0.0 } else { 0.2 };
    if arguments.iter().any(|word| word == "--serve") {
        return serve(&device, &mut rows, seconds, after("--tensors").as_deref());
    }
    table(&device, &mut rows, seconds, after("--json"))
}

/// Seconds of one call, of as many calls as take `least` seconds, between two waits.
fn time(device: &Device, row: &mut Row, least: f64) -> Outcome<f64> {
    let mut batch = |calls: usize| -> Outcome<f64> {
        device.synchronize()?;
        let start = Instant::now();
        for _ in 0..calls {
            (row.call)()?;
        }
        device.synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    };
    batch(1)?;
    let once = batch(1)?;
    if least == 0.0 {
        return Ok(once);
    }
    let calls = ((least / once).ceil() as usize).clamp(1, 100_000);
    Ok(batch(calls)? / calls as f64)
}

fn serve(device: &Device, rows: &mut [Row], least: f64, tensors: Option<&str>) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(device, rows, least, tensors, line?.trim());
        let answer = answer.unwrap_or_else(|error| format!("error: {error}").replace('\n', " "));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(
    device: &Device,
    rows: &mut [Row],
    least: f64,
    tensors: Option<&str>,
    line: &str,
) -> Outcome<String> {
    if line == "info" {
        return Ok(device.to_string());
    }
    if line == "rows" {
        let rows: Vec<String> = rows.iter().map(Row::json).collect();
        return Ok(format!("[{}]", rows.join(", ")));
    }
    let saved = line.strip_prefix("save ");
    let name = saved.unwrap_or(line);
    let row = rows.iter_mut().find(|row| row.name == name).ok_or(format!("there is no row {name}"))?;
    if saved.is_some() {
        (row.call)()?;
        (row.save)(tensors.ok_or("--tensors names no file")?.as_ref())?;
        return Ok("saved".into());
    }
    Ok(time(device, row, least)?.to_string())
}

/// Seconds of each row, the shortest first. A row that fails takes no further part.
fn rounds(device: &Device, rows: &mut [Row], least: f64) -> Vec<Outcome<Vec<f64>>> {
    let rounds = if least == 0.0 { 1 } else { ROUNDS };
    let mut seconds: Vec<Outcome<Vec<f64>>> = rows.iter().map(|_| Ok(Vec::new())).collect();
    for _ in 0..rounds {
        for (row, seconds) in rows.iter_mut().zip(&mut seconds) {
            let Ok(seen) = seconds else { continue };
            match time(device, row, least) {
                Ok(new) => seen.push(new),
                Err(error) => *seconds = Err(error),
            }
        }
    }
    seconds.iter_mut().flatten().for_each(|seen| seen.sort_by(f64::total_cmp));
    seconds
}

fn table(device: &Device, rows: &mut [Row], least: f64, json: Option<String>) -> Outcome<()> {
    let seconds = rounds(device, rows, least);
    println!("{device}");
    if least == 0.0 {
        println!("quick: shapes are small and the figures mean nothing");
    }
    println!("{:<34} {:>12} {:>10} {:>10}", "", "median µs", "GB/s", "TFLOP/s");
    let mut lines = Vec::new();
    for (row, seconds) in rows.iter().zip(&seconds) {
        let seconds = match seconds {
            Ok(seconds) => seconds,
            Err(error) => {
                println!("{:<34} {error}", row.name);
                continue;
            }
        };
        let median = seconds[seconds.len() / 2];
        let (bandwidth, speed) = (row.bytes / median / 1e9, row.flops / median / 1e12);
        println!("{:<34} {:>12.2} {:>10.1} {:>10.2}", row.name, median * 1e6, bandwidth, speed);
        lines.push(format!("{{\"name\": {:?}, \"seconds\": {median:e}, \"rounds\": {seconds:?}}}", row.name));
    }
    if let Some(path) = json {
        let text = format!(
            "{{\"device\": {:?}, \"quick\": {}, \"rows\": [\n{}\n]}}\n",
            device.to_string(),
            least == 0.0,
            lines.join(",\n")
        );
        std::fs::write(path, text)?;
    }
    let failed = seconds.iter().filter(|seconds| seconds.is_err()).count();
    if failed > 0 { Err(format!("{failed} rows failed").into()) } else { Ok(()) }
}
