"""The inputs of every row, functions of a seed and a position: the same as in ../src/protocol.rs."""

from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np


def hashed(seed, count):
    at = np.arange(count, dtype=np.uint32)
    bits = at * np.uint32(0x9E3779B1) ^ np.uint32(seed * 0x85EBCA77 & 0xFFFFFFFF)
    bits = (bits ^ (bits >> 15)) * np.uint32(0x2C1B3C6D)
    bits = (bits ^ (bits >> 12)) * np.uint32(0x297A2D39)
    return bits ^ (bits >> 15)


@lru_cache(maxsize=4)
def floats(seed, *shape):
    """Uniform in -2..2. Nobody writes to it."""
    values = (hashed(seed, prod(shape)) >> 8).astype(np.float32)
    values /= np.float32(1 << 22)
    values -= np.float32(2)
    return values.reshape(shape)


def int8(seed, *shape):
    return (hashed(seed, prod(shape)) >> 24).astype(np.uint8).view(np.int8).reshape(shape)


def indices(seed, count, end):
    return (hashed(seed, count) % np.uint32(end)).astype(np.int64)


def sentences(count):
    """The first ones of sentences.txt, which ../src/model.rs reads too."""
    lines = (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines()
    return lines[:count]


def token_ids(sentences, width):
    """Sentences of arbitrary words between the markers; as in ../src/model.rs."""
    at = np.arange(sentences * width)
    ids = 1000 + at * 7919 % 28_000
    ids[at % width == width - 1] = 102
    ids[at % width == 0] = 101
    return ids.reshape(sentences, width)


def difference(result, truth):
    """The largest difference, as a share of the largest value."""
    if result.shape != truth.shape:
        return float("inf")
    scale = np.abs(truth.astype(np.float64)).max(initial=1e-30)
    worst = np.abs(result.astype(np.float64) - truth).max(initial=0)
    return float(worst / scale) if np.isfinite(worst) else float("inf")
