"""Sentences to padded token ids, by the model's own tokenizer: the same code in Rust that ours calls, through its
Python package."""

import numpy as np
from tokenizers import Tokenizer

from . import inputs
from .rows import MODEL, TOKENS, cut


class Text:
    """The first sentences of sentences.txt, tokenized anew at every call."""

    def __init__(self, count):
        self.sentences = inputs.sentences(count)
        self.tokenizer = Tokenizer.from_file(str(MODEL.parent / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)
        lengths = tuple(map(len, self.tokens()))
        if lengths != TOKENS[:count]:
            raise ValueError(f"rows.py counts {TOKENS[:count]} tokens, the tokenizer {lengths}")

    def tokens(self):
        if len(self.sentences) == 1:
            return [self.tokenizer.encode(self.sentences[0]).ids]
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(self.sentences)]

    def calls(self, embed):
        """Embeddings of all sentences, by an `embed` of token ids and of a mask (none where no row is padded): in one
        batch, and in the batches that ours makes."""

        def in_one():
            ids, mask = padded(self.tokens())
            return np.asarray(embed(ids, mask))

        def in_batches():
            tokens, out = self.tokens(), np.empty((len(self.sentences), 384), np.float32)
            for batch in batches:
                ids, mask = padded([tokens[at] for at in batch])
                out[batch] = np.asarray(embed(ids, mask)).reshape(len(batch), 384)
            return out

        # Known beforehand: in Python it takes longer than ours does at each call.
        order = sorted(range(len(self.sentences)), key=lambda at: -TOKENS[at])
        ends = np.cumsum(cut([TOKENS[at] for at in order]))
        batches = np.split(np.array(order), ends[:-1])

        return [in_one, in_batches] if len(self.sentences) > 1 else [in_one]


def padded(tokens):
    """Token ids, 0 after the last of each row, and which are real; no mask if all are."""
    lengths = np.array([len(row) for row in tokens])
    ids = np.zeros((len(tokens), lengths.max()), np.int64)
    for to, row in zip(ids, tokens):
        to[: len(row)] = row
    return ids, None if lengths.min() == lengths.max() else ids != 0
