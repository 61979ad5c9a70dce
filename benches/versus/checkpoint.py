"""The weights of examples/minilm, as numpy arrays."""

import json
import struct

import numpy as np

from .rows import MODEL


def checkpoint():
    """The tensors of model.safetensors as numpy arrays: a length, a description in JSON, the bytes."""
    bytes_ = np.memmap(MODEL, dtype=np.uint8, mode="r")
    (length,) = struct.unpack("<Q", bytes_[:8].tobytes())
    entries = json.loads(bytes_[8 : 8 + length].tobytes())
    body = bytes_[8 + length :]

    def tensor(entry):
        begin, end = entry["data_offsets"]
        return np.frombuffer(body[begin:end].tobytes(), np.float32).reshape(entry["shape"])

    return {name: tensor(e) for name, e in entries.items() if e.get("dtype") == "F32"}
