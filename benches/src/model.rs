//! The real model end to end, from token ids or from text to embeddings.

use crate::protocol::{Failure, Row};
use minilm::Embedder;
use minilm::model::{Activations, Bert, Settings};
use minilm::tokenize::Batch;
use std::cell::RefCell;
use std::rc::Rc;

/// A batch of `n_sentences` of `width` tokens; none if the model has not been fetched.
pub fn open(n_sentences: usize, width: usize) -> Result<Option<Row>, Failure> {
    let folder = minilm::model_folder();
    let weights = folder.join("model.safetensors");
    if !weights.exists() {
        return Ok(None);
    }
    let model = Bert::open(&weights, Settings::read(&folder)?, &tilewright::Device::cpu())?;
    let batch = batch(n_sentences, width);
    let mut activations = Activations::default();
    let embeddings = Rc::new(RefCell::new(Vec::new()));
    let last = Rc::clone(&embeddings);
    Ok(Some(Row {
        call: Box::new(move || {
            *embeddings.borrow_mut() = model.embed(&batch, &mut activations)?.to_vec();
            Ok(())
        }),
        result: Box::new(move || Ok(last.borrow().iter().flat_map(|x| x.to_le_bytes()).collect())),
    }))
}

/// The first `n_sentences` of those that versus/inputs.py reads; none if the model has not been fetched.
pub fn open_text(n_sentences: usize) -> Result<Option<Row>, Failure> {
    let folder = minilm::model_folder();
    if !folder.join("model.safetensors").exists() {
        return Ok(None);
    }
    let mut embedder = Embedder::open(&folder, &tilewright::Device::cpu())?;
    let sentences: Vec<&str> = include_str!("../versus/sentences.txt").lines().take(n_sentences).collect();
    let embeddings = Rc::new(RefCell::new(Vec::new()));
    let last = Rc::clone(&embeddings);
    Ok(Some(Row {
        call: Box::new(move || {
            *embeddings.borrow_mut() = embedder.embed(&sentences)?;
            Ok(())
        }),
        result: Box::new(move || Ok(last.borrow().iter().flatten().flat_map(|x| x.to_le_bytes()).collect())),
    }))
}

/// Sentences of equal length, of arbitrary words between the markers; as in versus/inputs.py.
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
