"""The rows: what is computed, and what it must cost at least."""

import re
from dataclasses import dataclass
from pathlib import Path

# Fetched by examples/minilm/fetch.sh.
MODEL = Path(__file__).parents[2] / "examples/minilm/model/model.safetensors"


@dataclass(frozen=True)
class Row:
    """An operation on one shape; all contestants know it by its name."""

    operation: str
    shape: tuple
    group: str
    flops: float = 0  # multiply and add count as two
    read: int = 0  # bytes that must come from memory
    write: int = 0  # bytes that must go there
    multiply: str = "fma"  # or int8: which peak bounds it
    tolerance: float = 1e-4  # of the largest value of the result

    @property
    def name(self):
        return f"{self.operation} {'x'.join(map(str, self.shape))}"

    @property
    def traffic(self):
        """The loop of bandwidth.rs that moves bytes in the same proportion."""
        if self.write * 8 < self.read:
            return "read"
        return "copy" if self.read < 1.5 * self.write else "triad"

    def floor(self, rates):
        """The shortest time in seconds, and what sets it: a key of `rates` (GFLOP/s, GB/s)."""
        times = {}
        if self.flops:
            times[self.multiply] = self.flops / rates[self.multiply] / 1e9
        if self.read + self.write:
            times[self.traffic] = (self.read + self.write) / rates[self.traffic] / 1e9
        if not times:
            return None, None
        bound = max(times, key=times.get)
        return times[bound], bound


def product(operation, m, n, k, group, weight=4, activation=4, extra=0, **more):
    read = activation * m * k + weight * n * k + extra
    return Row(operation, (m, n, k), group, 2 * m * n * k, read, 4 * m * n, **more)


def over_rows(operation, m, n):
    """An operation on every row of a matrix: nothing but traffic counts."""
    matrix = 4 * m * n
    read = matrix + {
        "layer_norm": 8 * n,
        "rms_norm": 4 * n,
        "silu_mul": matrix,
        "add": matrix,
        "rope": matrix,  # cosine and sine, half a matrix each
        "cross_entropy": 4 * m,
    }.get(operation, 0)
    write = 4 * m if operation in ("row_sum", "cross_entropy") else matrix
    return Row(operation, (m, n), "rows", read=read, write=write)


def attention(operation, shape, heads, groups, queries, keys, depth):
    pairs = queries * (keys + 1) / 2 if operation == "attention_causal" else queries * keys
    read = 4 * depth * (heads * queries + 2 * groups * keys)
    flops, write = 4 * heads * pairs * depth, 4 * heads * queries * depth
    return Row(operation, shape, "attention", flops, read, write, tolerance=1e-3)


def bert(operation, shape, lengths):
    """Six blocks of 384 values in 12 heads, 1536 inside, of sentences of so many tokens; padding is nobody's duty."""
    weights = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    flops = 2 * sum(lengths) * weights + 6 * 4 * 384 * sum(n * n for n in lengths)
    return Row(operation, shape, "minilm", flops, 4 * weights, 4 * len(lengths) * 384, tolerance=1e-3)


def minilm(sentences, width):
    return bert("minilm", (sentences, width), [width] * sentences)


# Of each sentence of sentences.txt, with its markers, as the model's tokenizer counts them.
TOKENS = (14, 12, 21, 26, 16, 16, 23, 20, 22, 27, 9, 23, 21, 22, 25, 27)
TOKENS += (15, 17, 21, 24, 30, 31, 17, 13, 10, 25, 26, 24, 23, 26, 28, 22)


def minilm_text(sentences):
    """The same from text: the first so many of sentences.txt."""
    return bert("minilm_text", (sentences,), TOKENS[:sentences])


# What a batch costs beyond its tokens, in tokens; this and `cut` as in ../../examples/minilm/tokenize.rs.
A_BATCH = 45


def cut(lengths):
    """How many sentences each batch takes, of sentences of these lengths, longest first: the cheapest of all ways."""
    cheapest = [(0, 0)]
    for end in range(1, len(lengths) + 1):
        ways = ((cheapest[begin][0] + (end - begin) * lengths[begin] + A_BATCH, begin) for begin in range(end))
        cheapest.append(min(ways))
    counts, end = [], len(lengths)
    while end:
        counts.append(end - cheapest[end][1])
        end = cheapest[end][1]
    return counts[::-1]


MATRICES = [(64, 384), (4096, 1024), (4096, 4096)]
OVER_ROWS = "softmax layer_norm rms_norm gelu gelu_tanh silu_mul rope row_sum add cross_entropy".split()


def all_rows():
    rows = [product("matmul", n, n, n, "matmul") for n in (64, 128, 256, 512, 1024, 2048)]
    odd = [(1, 4096, 4096), (8, 4096, 4096), (512, 1536, 384), (37, 211, 101)]
    rows += [product("matmul", *shape, "matmul") for shape in odd]
    for kind in ("bf16", "f16"):
        # Who rounds the activations to the weights' type has an error of about 2^-8 and 2^-11.
        rows += [
            product(f"matmul_{kind}", m, 4096, 4096, "half and int8", weight=2, tolerance=2e-2) for m in (1, 8)
        ]
    rows += [
        product("matmul_int8", n, n, n, "half and int8", weight=1, activation=1, multiply="int8", tolerance=0)
        for n in (512, 1024)
    ]
    linear = [(256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (512, 1536, 384)]
    rows += [product("linear_gelu", *shape, "linear+gelu", extra=4 * shape[1]) for shape in linear]
    rows += [over_rows(operation, *shape) for operation in OVER_ROWS for shape in MATRICES]
    for h, s, d in ((12, 512, 64), (8, 2048, 64)):
        for operation in ("attention", "attention_causal"):
            rows.append(attention(operation, (1, h, s, d), h, h, s, s, d))
    rows.append(attention("attention_decode", (1, 32, 8, 2048, 128), 32, 8, 1, 2048, 128))
    return rows + [minilm(1, 12), minilm(32, 31), minilm_text(1), minilm_text(32)]


def chosen(pattern, quick=False):
    """The rows whose name it finds; with `quick` only those that take no time."""
    rows = [row for row in all_rows() if re.search(pattern, row.name)]
    return [row for row in rows if not quick or (row.flops <= 1e9 and row.read + row.write <= 1 << 23)]
