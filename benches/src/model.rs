//! The real model end to end, from token ids to embeddings.

use crate::Call;
use minilm::model::{Activations, Bert, Settings};
use minilm::tokenize::Batch;

/// A row for each batch shape; none if the model has not been fetched.
pub fn rows() -> Result<Vec<(String, Call)>, Box<dyn std::error::Error + Send + Sync>> {
    let folder = minilm::model_folder();
    let weights = folder.join("model.safetensors");
    if !weights.exists() {
        return Ok(Vec::new());
    }
    let row = |(n_sentences, width): (usize, usize)| {
        let model = Bert::open(&weights, Settings::read(&folder)?, &tilewright::Device::cpu())?;
        let batch = batch(n_sentences, width);
        let mut activations = Activations::default();
        let call: Call = Box::new(move || model.embed(&batch, &mut activations).map(drop));
        Ok((format!("minilm {n_sentences}x{width}"), call))
    };
    [(1, 12), (32, 31), (32, 128)].into_iter().map(row).collect()
}

/// Sentences of equal length, of arbitrary words between the markers.
fn batch(n_sentences: usize, width: usize) -> Batch {
    let id = |at: usize| match at % width {
        0 => 101,
        last if last + 1 == width => 102,
        _ => 1000 + (at * 7919 % 28_000) as i32,
    };
    Batch {
        sentences: (0..n_sentences).collect(),
        ids: (0..n_sentences * width).map(id).collect(),
        lengths: vec![width as i32; n_sentences],
        width,
    }
}
