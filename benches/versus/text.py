"""Sentences to padded token ids, by the model's own tokenizer: the same code in Rust that ours calls, through its
Python package."""

import numpy as np
from tokenizers import Tokenizer

from . import inputs
from .rows import MODEL, TOKENS


class Text:
    """The first sentences of sentences.txt, tokenized anew at every call."""

    def __init__(self, count):
        self.sentences = inputs.sentences(count)
        self.tokenizer = Tokenizer.from_file(str(MODEL.parent / "tokenizer.json"))
        self.tokenizer.enable_truncation(256)
        self.tokenizer.enable_padding()
        lengths = self.lengths(self.ids())
        if tuple(lengths) != TOKENS[:count]:
            raise ValueError(f"rows.py counts {TOKENS[:count]} tokens, the tokenizer {tuple(lengths)}")

    def ids(self):
        """One row a sentence; padding is 0."""
        if len(self.sentences) == 1:
            return np.array([self.tokenizer.encode(self.sentences[0]).ids])
        encodings = self.tokenizer.encode_batch_fast(self.sentences)
        return np.array([encoding.ids for encoding in encodings])

    @staticmethod
    def lengths(ids):
        return (ids != 0).sum(1)

    @staticmethod
    def mask(ids):
        """Which tokens are real; none where all are, as of one sentence."""
        return ids != 0 if len(ids) > 1 else None
