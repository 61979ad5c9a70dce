//! Sentence embeddings, on the CPU, or on a GPU with `--device cuda` or `--device rocm`.
//!
//! ```text
//! bash examples/minilm/fetch.sh
//! cargo run --release --example minilm -- "A cat sleeps." "A kitten naps." "Rates rose."
//! cargo run --release --example minilm -- --json "A cat sleeps."
//! cargo run --release --example minilm -- --json < sentences.txt
//! ```
//!
//! Sentences are arguments, or else lines of the standard input. Prints how similar they are, or
//! with `--json` one object a sentence: `{"sentence": …, "embedding": […]}`.

use minilm::{Embedder, model_folder};
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use tilewright::Device;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("minilm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut json, mut device) = (false, Device::cpu());
    let mut sentences = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--device" => device = arguments.next().ok_or("--device takes cpu, cuda or rocm")?.parse()?,
            "--" => sentences.extend(arguments.by_ref()),
            "-h" | "--help" => {
                println!(
                    "usage: minilm [--json] [--device cpu|cuda|rocm] [SENTENCE]…   (without sentences: lines of the standard input)"
                );
                return Ok(());
            }
            option if option.starts_with("--") => {
                return Err(
                    format!("unknown option {option}; a sentence that begins so goes after --").into()
                );
            }
            _ => sentences.push(argument),
        }
    }
    if sentences.is_empty() {
        sentences = std::io::stdin().lines().collect::<std::io::Result<_>>()?;
    }
    let embeddings = Embedder::open(&model_folder(), &device)?.embed(&sentences)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if json {
        print_json(&mut out, &sentences, &embeddings)
    } else {
        print_similarities(&mut out, &sentences, &embeddings)
    }
}

fn print_json(out: &mut impl Write, sentences: &[String], embeddings: &[Vec<f32>]) -> Result<()> {
    for (sentence, embedding) in sentences.iter().zip(embeddings) {
        let (sentence, embedding) = (one_line(sentence)?, serde_json::to_string(embedding)?);
        writeln!(out, "{{\"sentence\":{sentence},\"embedding\":{embedding}}}")?;
    }
    Ok(out.flush()?)
}

/// A JSON string without what some readers take for the end of a line.
fn one_line(sentence: &str) -> Result<String> {
    let mut json = serde_json::to_string(sentence)?;
    for separator in ['\u{85}', '\u{2028}', '\u{2029}'] {
        json = json.replace(separator, &format!("\\u{:04x}", u32::from(separator)));
    }
    Ok(json)
}

/// The lower triangle of the matrix of cosines, under numbers; the sentences beside it.
fn print_similarities(out: &mut impl Write, sentences: &[String], embeddings: &[Vec<f32>]) -> Result<()> {
    for (row, (sentence, embedding)) in sentences.iter().zip(embeddings).enumerate() {
        write!(out, "{:>3} ", row + 1)?;
        for other in &embeddings[..row] {
            write!(out, " {:5.2}", cosine(embedding, other))?;
        }
        writeln!(out, "  {}", shortened(sentence))?;
    }
    if sentences.len() > 1 {
        write!(out, "    ")?;
        for column in 1..sentences.len() {
            write!(out, " {column:>5}")?;
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

/// Of vectors of length 1.
fn cosine(lhs: &[f32], rhs: &[f32]) -> f32 {
    lhs.iter().zip(rhs).map(|(l, r)| l * r).sum()
}

fn shortened(sentence: &str) -> String {
    let mut text: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect();
    if sentence.chars().nth(60).is_some() {
        text.push('…');
    }
    text
}
