//! Classifies real handwritten digits: `cargo run --release --example digits`, and on a GPU with
//! `-- --device cuda` or `-- --device rocm`.
//!
//! A network of 64 → 128 → 64 → 10, trained by train.py on three quarters of scikit-learn's digits,
//! runs on the quarter that it has not seen. Weights and images are inside the program; train.py says
//! whose the images are.

mod draw;
mod kernels;

use draw::{Picture, SIDE};
use std::process::ExitCode;
use std::time::Instant;
use tilewright::prelude::*;
use tilewright::weights::Weights;

/// What digits.safetensors holds, by name and shape.
#[derive(Weights)]
struct Network {
    #[weight(prefix = "hidden.{i}.")]
    hidden: Vec<Linear>,
    #[weight(prefix = "output.")]
    output: Linear,
}

/// One layer of `K` inputs and `N` outputs.
#[derive(Weights)]
#[weights(local(N, K))]
struct Linear {
    #[weight("weight", shape = (N, K))]
    weight: Tensor<f32>,
    #[weight("bias", shape = N)]
    bias: Tensor<f32>,
}

/// What test.safetensors holds.
#[derive(Weights)]
#[weights(dims(M))]
struct Test {
    #[weight("images", shape = (M, 8, 8))]
    images: Tensor<u8>,
    #[weight("labels", shape = M)]
    labels: Tensor<i32>,
    /// What PyTorch computed.
    #[weight("logits", shape = (M, 10))]
    logits: Tensor<f32>,
}

/// Everything between the pixels and the answer, allocated once.
struct Activations {
    input: Tensor<f32>,
    hidden: Vec<Tensor<f32>>,
    logits: Tensor<f32>,
    probabilities: Tensor<f32>,
    classes: Tensor<i32>,
}

impl Activations {
    fn new(network: &Network, images: usize, device: &Device) -> Result<Self, Error> {
        let matrix = |columns: usize| Tensor::zeros_on([images, columns], device);
        let outputs = |layer: &Linear| layer.bias.len();
        Ok(Activations {
            input: matrix(SIDE * SIDE)?,
            hidden: network.hidden.iter().map(|layer| matrix(outputs(layer))).collect::<Result<_, _>>()?,
            logits: matrix(outputs(&network.output))?,
            probabilities: matrix(outputs(&network.output))?,
            classes: Tensor::zeros_on([images], device)?,
        })
    }
}

impl Network {
    fn classify(&self, pixels: &Tensor<u8>, at: &mut Activations) -> Result<(), Error> {
        kernels::brightness(pixels, &mut at.input)?;
        let mut x = &at.input;
        for (layer, out) in self.hidden.iter().zip(&mut at.hidden) {
            kernels::linear_gelu(x, &layer.weight, &layer.bias, out)?;
            x = out;
        }
        kernels::linear(x, &self.output.weight, &self.output.bias, &mut at.logits)?;
        kernels::softmax(&at.logits, &mut at.probabilities)?;
        kernels::argmax(&at.probabilities, &mut at.classes)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("digits: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let device = chosen_device()?;
    let network: Network = Weights::from_bytes(include_bytes!("digits.safetensors"))?.to(&device).bind()?;
    let test: Test = Weights::from_bytes(include_bytes!("test.safetensors"))?.bind()?;
    let n_images = test.labels.len();
    let pixels = test.images.reshape([n_images, SIDE * SIDE])?;
    let pixels_there = pixels.to(&device)?;
    let mut at = Activations::new(&network, n_images, &device)?;
    network.classify(&pixels_there, &mut at)?;

    let host = Device::cpu();
    let labels = test.labels.to_vec();
    let classes = at.classes.to(&host)?.to_vec();
    draw_some(&pixels.to_vec(), &labels, &classes, &at.probabilities.to(&host)?.to_vec());

    let n_right = labels.iter().zip(&classes).filter(|(label, class)| label == class).count();
    let accuracy = n_right as f64 / n_images as f64;
    println!("accuracy       {:.2} % ({n_right} of {n_images} held-out images)", 100.0 * accuracy);
    println!("speed          {:.0} images per second", speed(&network, &pixels_there, &mut at, &device)?);
    println!("device         {device}");

    let furthest = furthest(&at.logits.to(&host)?.to_vec(), &test.logits.to_vec());
    println!("against torch  logits differ by at most {furthest:.1e}");
    if accuracy < 0.97 || furthest > 1e-4 {
        return Err("the network does not do what it was trained to".into());
    }
    Ok(())
}

/// What `--device` names: the CPU without it.
fn chosen_device() -> Result<Device, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(Device::cpu()),
        ["--device", name] => Ok(name.parse()?),
        _ => Err("usage: digits [--device cpu|cuda|rocm]".into()),
    }
}

/// Six that are right and up to six that are wrong, with the probability of the answer.
fn draw_some(pixels: &[u8], labels: &[i32], classes: &[i32], probabilities: &[f32]) {
    let n_classes = probabilities.len() / classes.len();
    let picture = |at: usize| {
        let class = classes[at];
        let percent = 100.0 * probabilities[at * n_classes + class as usize];
        let verdict = if class == labels[at] { String::new() } else { format!(" not {}", labels[at]) };
        Picture {
            pixels: &pixels[at * SIDE * SIDE..][..SIDE * SIDE],
            caption: format!("{class} {percent:.0}%{verdict}"),
        }
    };
    for right in [true, false] {
        let chosen = (0..labels.len()).filter(|&at| (labels[at] == classes[at]) == right);
        println!("{}", draw::row(&chosen.take(6).map(picture).collect::<Vec<_>>()));
    }
}

/// Images a second: the median of many warm runs over all images, as many as fit into a second or two.
fn speed(
    network: &Network,
    pixels: &Tensor<u8>,
    at: &mut Activations,
    device: &Device,
) -> Result<f64, Error> {
    let mut seconds = Vec::new();
    let begin = Instant::now();
    while seconds.len() < 201 && begin.elapsed().as_secs() < 2 {
        let start = Instant::now();
        network.classify(pixels, at)?;
        device.synchronize()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(pixels.shape()[0] as f64 / seconds[seconds.len() / 2])
}

/// The largest difference; NaN counts as infinite.
fn furthest(lhs: &[f32], rhs: &[f32]) -> f32 {
    lhs.iter()
        .zip(rhs)
        .map(|(l, r)| (l - r).abs())
        .map(|d| if d.is_nan() { f32::INFINITY } else { d })
        .fold(0.0, f32::max)
}
