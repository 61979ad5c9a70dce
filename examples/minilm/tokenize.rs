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

    /// All sentences in batches of at most `max_sentences`, longest first, so that padding and batches together cost
    /// least.
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
        let lengths: Vec<usize> = order.iter().map(|&at| encoded[at].len()).collect();
        let mut rest = order.as_slice();
        let mut batches = Vec::new();
        for count in cut(&lengths, max_sentences) {
            let (batch, others) = rest.split_at(count);
            batches.push(Batch::new(batch, &encoded));
            rest = others;
        }
        Ok(batches)
    }
}

/// What a batch costs beyond its tokens, in tokens: it reads all weights, 42 MB, and makes 60 launches. A millisecond
/// on two threads of an EPYC with AVX-512, which embed 45 tokens in it.
const A_BATCH: usize = 45;

/// How many sentences each batch takes, of sentences of these lengths, longest first. A batch costs as many tokens as
/// it has sentences, times its longest, and `A_BATCH`: the cheapest cuts up to each sentence, from the first one on.
fn cut(lengths: &[usize], max_sentences: usize) -> Vec<usize> {
    let mut cheapest = vec![(0, 0)];
    for end in 1..=lengths.len() {
        let begin = end.saturating_sub(max_sentences.max(1));
        let batch = |begin: usize| (cheapest[begin].0 + (end - begin) * lengths[begin] + A_BATCH, begin);
        cheapest.extend((begin..end).map(batch).min());
    }
    let mut counts = Vec::new();
    let mut end = lengths.len();
    while end > 0 {
        let (_, begin) = cheapest[end];
        counts.push(end - begin);
        end = begin;
    }
    counts.reverse();
    counts
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

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn batches_are_cut_where_padding_costs_more_than_a_batch() {
        assert_eq!(cut(&[], 32), [0; 0]);
        assert_eq!(cut(&[12], 32), [1]);
        assert_eq!(cut(&[31; 70], 32).iter().sum::<usize>(), 70);
        assert_eq!(cut(&[31; 70], 32).len(), 3);
        assert_eq!(cut(&[256, 256, 12, 12, 11], 32), [2, 3]);
        assert_eq!(cut(&[20, 19, 18, 17], 32), [4]);
        assert_eq!(cut(&[9, 8], 0), [1, 1]);
    }
}
