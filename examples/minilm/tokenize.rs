//! From sentences to batches of token ids.

use std::path::Path;
use tokenizers::{Tokenizer as Inner, TruncationDirection, TruncationParams, TruncationStrategy};

/// Splits sentences into word pieces, as the model was trained to see them.
#[derive(Debug)]
pub struct Tokenizer {
    inner: Inner,
}

/// Sentences of similar length, padded to the longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which sentences of the input these are.
    pub sentences: Vec<usize>,
    /// Token ids, `sentences.len() * width` of them, row by row; padding is 0.
    pub ids: Vec<i32>,
    /// How many tokens of each row are real.
    pub lengths: Vec<i32>,
    /// Tokens of the longest sentence.
    pub width: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`; sentences will be truncated to `max_tokens`.
    ///
    /// # Errors
    /// If the file is missing or is no tokenizer.
    pub fn open(file: &Path, max_tokens: usize) -> Result<Self, tokenizers::Error> {
        let mut inner = Inner::from_file(file)?;
        // The file asks for padding and truncation to 128, which is not how the model is used.
        inner.with_padding(None);
        inner.with_truncation(Some(TruncationParams {
            direction: TruncationDirection::Right,
            max_length: max_tokens,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        }))?;
        Ok(Tokenizer { inner })
    }

    /// The token ids of one sentence, its start and end markers included.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn encode(&self, sentence: &str) -> Result<Vec<i32>, tokenizers::Error> {
        let encoding = self.inner.encode_fast(sentence, true)?;
        encoding.get_ids().iter().map(|&id| Ok(i32::try_from(id)?)).collect()
    }

    /// All sentences in batches of at most `max_sentences`, longest first. Where the next one is less
    /// than half as long as the first of its batch, a new one begins: less than half is padding.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn batches(
        &self,
        sentences: &[impl AsRef<str>],
        max_sentences: usize,
    ) -> Result<Vec<Batch>, tokenizers::Error> {
        let encoded: Vec<Vec<i32>> =
            sentences.iter().map(|s| self.encode(s.as_ref())).collect::<Result<_, _>>()?;
        let mut order: Vec<usize> = (0..encoded.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(encoded[at].len()));
        let mut batches = Vec::new();
        let mut rest = order.as_slice();
        while let Some(&longest) = rest.first() {
            let fits = |&&at: &&usize| 2 * encoded[at].len() >= encoded[longest].len();
            let count = rest.iter().take(max_sentences.max(1)).take_while(fits).count();
            let (batch, others) = rest.split_at(count);
            batches.push(Batch::new(batch, &encoded));
            rest = others;
        }
        Ok(batches)
    }
}

impl Batch {
    fn new(sentences: &[usize], encoded: &[Vec<i32>]) -> Self {
        let width = sentences.first().map_or(0, |&longest| encoded[longest].len());
        let mut ids = vec![0; sentences.len() * width];
        for (row, &at) in ids.chunks_mut(width.max(1)).zip(sentences) {
            row[..encoded[at].len()].copy_from_slice(&encoded[at]);
        }
        let lengths = sentences
            .iter()
            .map(|&at| i32::try_from(encoded[at].len()).expect("sentences are truncated"))
            .collect();
        Batch { sentences: sentences.to_vec(), ids, lengths, width }
    }
}
