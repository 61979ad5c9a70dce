//! all-MiniLM-L6-v2: sentences to normalised embeddings of 384 values, every layer a `#[kernel]`.
//!
//! ```text
//! sentences ─tokenize─▶ ids, lengths ─embed─▶ hidden ─6 × block─▶ hidden ─mean_pool, normalize─▶ embeddings
//! block:  linear (q k v) ▶ attention ▶ linear ▶ add_norm ▶ linear_gelu ▶ linear ▶ add_norm
//! ```

pub mod kernels;
pub mod model;
pub mod tokenize;

use model::{Activations, Bert, Settings};
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use tilewright::Device;
use tokenize::Tokenizer;

/// Tokenizer, weights and buffers: all that embedding needs.
#[derive(Debug)]
pub struct Embedder {
    tokenizer: Tokenizer,
    model: Bert,
    activations: Activations,
}

/// Sentences embedded at once; at 256 tokens each their activations take 90 MB.
const BATCH: usize = 32;

impl Embedder {
    /// Opens a model folder as fetch.sh leaves it, to run on a device.
    ///
    /// # Errors
    /// [`NotFetched`] if there is no model, else what is wrong with it or with the device.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let weights = folder.join("model.safetensors");
        if !weights.exists() {
            return Err(NotFetched { missing: weights }.into());
        }
        let settings = Settings::read(folder)?;
        let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"), settings.max_tokens)?;
        let model = Bert::open(&weights, settings, device)?;
        Ok(Embedder { tokenizer, model, activations: Activations::default() })
    }

    /// One embedding of Euclidean length 1 for each sentence, in order.
    ///
    /// # Errors
    /// If tokenizing or a launch fails.
    pub fn embed(
        &mut self,
        sentences: &[impl AsRef<str>],
    ) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        let mut embeddings = vec![Vec::new(); sentences.len()];
        for batch in self.tokenizer.batches(sentences, BATCH)? {
            let pooled = self.model.embed(&batch, &mut self.activations)?;
            let width = pooled.shape()[1];
            for (row, &sentence) in pooled.to_vec().chunks(width).zip(&batch.sentences) {
                embeddings[sentence] = row.to_vec();
            }
        }
        Ok(embeddings)
    }
}

/// Where fetch.sh puts the model, or what `MINILM_MODEL` names: a program that was carried to another machine
/// finds it there.
#[must_use]
pub fn model_folder() -> PathBuf {
    let folder = std::env::var_os("MINILM_MODEL").map(PathBuf::from);
    folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("model"))
}

/// The model is not there yet.
#[derive(Debug)]
pub struct NotFetched {
    /// The file that was looked for.
    pub missing: PathBuf,
}

impl fmt::Display for NotFetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is missing; fetch the model (84 MB, once) with: bash examples/minilm/fetch.sh",
            self.missing.display()
        )
    }
}

impl Error for NotFetched {}
