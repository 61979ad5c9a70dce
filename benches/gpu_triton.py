"""Triton's kernels for the rows of the GPU table, after the structure of its tutorials.

Each function takes tensors as src/gpu/kernels.rs does, the output last, and launches one kernel. Block sizes,
stages and warps are tuned at the first call of a shape, over the lists below; under TRITON_INTERPRET=1, where
nothing can be timed, gpu_triton_test.py leaves one entry in each.
"""

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

LOG2_E = tl.constexpr(1.4426950408889634)

# A row a program: all of it in registers.
ROWS = [triton.Config({}, num_warps=warps) for warps in (2, 4, 8, 16)]
ELEMENTS = [
    triton.Config({"BLOCK": block}, num_warps=warps)
    for block, warps in [(512, 4), (1024, 4), (1024, 8), (2048, 4), (2048, 8), (4096, 8), (8192, 8)]
]
# Rows and columns of the result, bytes of a turn along k, stages, warps.
PRODUCTS = [
    (128, 256, 128, 3, 8),
    (128, 256, 128, 4, 8),
    (256, 128, 128, 3, 8),
    (256, 128, 128, 4, 8),
    (128, 256, 64, 4, 8),
    (256, 128, 64, 4, 8),
    (128, 128, 128, 3, 8),
    (128, 128, 128, 4, 4),
    (128, 128, 128, 4, 8),
    (128, 128, 64, 4, 4),
    (128, 128, 64, 4, 8),
    (64, 256, 128, 4, 4),
    (128, 64, 128, 4, 4),
    (64, 128, 64, 4, 4),
]
# Queries and keys of a turn, stages, warps. Causal turns need whole blocks of keys in a block of queries.
ATTENTIONS = [
    (64, 32, 4, 4),
    (64, 64, 3, 4),
    (64, 64, 4, 4),
    (128, 32, 4, 4),
    (128, 32, 4, 8),
    (128, 64, 2, 4),
    (128, 64, 2, 8),
    (128, 64, 3, 4),
    (128, 64, 3, 8),
    (128, 64, 4, 8),
    (128, 128, 2, 8),
    (128, 128, 3, 8),
]


@triton.autotune(ROWS, key=["n"])
@triton.jit
def softmax_kernel(x, out, n, BLOCK: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * n
    columns = tl.arange(0, BLOCK)
    inside = columns < n
    row = tl.load(x + start + columns, mask=inside, other=float("-inf")).to(tl.float32)
    powers = tl.exp(row - tl.max(row, 0))
    tl.store(out + start + columns, powers / tl.sum(powers, 0), mask=inside)


def softmax(x, out):
    m, n = x.shape
    softmax_kernel[(m,)](x, out, n, BLOCK=triton.next_power_of_2(n))


@triton.autotune(ROWS, key=["n"])
@triton.jit
def layer_norm_kernel(x, gain, shift, out, n, epsilon, BLOCK: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * n
    columns = tl.arange(0, BLOCK)
    inside = columns < n
    row = tl.load(x + start + columns, mask=inside, other=0.0).to(tl.float32)
    centred = tl.where(inside, row - tl.sum(row, 0) / n, 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred, 0) / n + epsilon)
    factor = tl.load(gain + columns, mask=inside).to(tl.float32)
    summand = tl.load(shift + columns, mask=inside).to(tl.float32)
    tl.store(out + start + columns, centred * scale * factor + summand, mask=inside)


def layer_norm(x, gain, shift, out, epsilon=1e-5):
    m, n = x.shape
    layer_norm_kernel[(m,)](x, gain, shift, out, n, epsilon, BLOCK=triton.next_power_of_2(n))


@triton.autotune(ROWS, key=["n"])
@triton.jit
def rms_norm_kernel(x, gain, out, n, epsilon, BLOCK: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * n
    columns = tl.arange(0, BLOCK)
    inside = columns < n
    row = tl.load(x + start + columns, mask=inside, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(row * row, 0) / n + epsilon)
    factor = tl.load(gain + columns, mask=inside).to(tl.float32)
    tl.store(out + start + columns, row * scale * factor, mask=inside)


def rms_norm(x, gain, out, epsilon=1e-5):
    m, n = x.shape
    rms_norm_kernel[(m,)](x, gain, out, n, epsilon, BLOCK=triton.next_power_of_2(n))


@triton.autotune(ROWS, key=["n"])
@triton.jit
def cross_entropy_kernel(logits, targets, out, n, BLOCK: tl.constexpr):
    program = tl.program_id(0)
    start = program.to(tl.int64) * n
    columns = tl.arange(0, BLOCK)
    row = tl.load(logits + start + columns, mask=columns < n, other=float("-inf")).to(tl.float32)
    target = tl.load(logits + start + tl.load(targets + program)).to(tl.float32)
    peak = tl.max(row, 0)
    tl.store(out + program, tl.log(tl.sum(tl.exp(row - peak), 0)) + peak - target)


def cross_entropy(logits, targets, out):
    m, n = logits.shape
    cross_entropy_kernel[(m,)](logits, targets, out, n, BLOCK=triton.next_power_of_2(n))


@triton.autotune(ELEMENTS, key=["count"])
@triton.jit
def swiglu_kernel(a, b, out, count, BLOCK: tl.constexpr):
    places = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = places < count
    gate = tl.load(a + places, mask=inside).to(tl.float32)
    value = tl.load(b + places, mask=inside).to(tl.float32)
    tl.store(out + places, gate * tl.sigmoid(gate) * value, mask=inside)


def swiglu(a, b, out):
    count = a.numel()
    swiglu_kernel[lambda meta: (triton.cdiv(count, meta["BLOCK"]),)](a, b, out, count)


@triton.autotune(ELEMENTS, key=["half"])
@triton.jit
def rope_kernel(x, cosine, sine, out, half, BLOCK: tl.constexpr):
    program = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < half
    first = program * 2 * half + columns
    angle = program * half + columns
    a = tl.load(x + first, mask=inside).to(tl.float32)
    b = tl.load(x + first + half, mask=inside).to(tl.float32)
    c = tl.load(cosine + angle, mask=inside)
    s = tl.load(sine + angle, mask=inside)
    tl.store(out + first, a * c - b * s, mask=inside)
    tl.store(out + first + half, b * c + a * s, mask=inside)


def rope(x, cosine, sine, out):
    m, _, half = x.shape
    rope_kernel[lambda meta: (m, triton.cdiv(half, meta["BLOCK"]))](x, cosine, sine, out, half)


# fmt: off
@triton.jit
def product_kernel(a, b, out, m, n, k, a_row, a_column, b_row, b_column, PRECISION: tl.constexpr,
                   ENGINE: tl.constexpr, TURNED: tl.constexpr, EVEN: tl.constexpr, GROUP: tl.constexpr,
                   BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    # fmt: on
    # Programs that run at a time share rows of a and columns of b: groups of GROUP blocks of rows.
    program, across = tl.program_id(0), tl.cdiv(n, BLOCK_N)
    group = program // (GROUP * across)
    high = min(tl.cdiv(m, BLOCK_M) - group * GROUP, GROUP)
    within = program % (GROUP * across)
    row, column = (group * GROUP + within % high) * BLOCK_M, within // high * BLOCK_N
    # What lies outside is read from the start again, and not stored.
    rows, columns = (row + tl.arange(0, BLOCK_M)) % m, (column + tl.arange(0, BLOCK_N)) % n
    depths = tl.arange(0, BLOCK_K)
    if not ENGINE:
        a_places = a + rows[:, None] * a_row + depths[None, :] * a_column
        b_places = b + depths[:, None] * b_row + columns[None, :] * b_column
    sums = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, k, BLOCK_K):
        if ENGINE:
            left = a.load([row, start])
            if TURNED:
                right = b.load([column, start]).T
            else:
                right = b.load([start, column])
        elif EVEN:
            left, right = tl.load(a_places), tl.load(b_places)
        else:
            left = tl.load(a_places, mask=depths[None, :] < k - start, other=0.0)
            right = tl.load(b_places, mask=depths[:, None] < k - start, other=0.0)
        sums = tl.dot(left, right, sums, input_precision=PRECISION)
        if not ENGINE:
            a_places += BLOCK_K * a_column
            b_places += BLOCK_K * b_row
    if ENGINE:
        out.store([row, column], sums.to(out.dtype))
    else:
        rows, columns = row + tl.arange(0, BLOCK_M), column + tl.arange(0, BLOCK_N)
        places = out + rows[:, None] * n + columns[None, :]
        tl.store(places, sums, mask=(rows[:, None] < m) & (columns[None, :] < n))


def product_blocks(of):
    """The descriptors' blocks are those of the config."""
    high, wide, deep = of["BLOCK_M"], of["BLOCK_N"], of["BLOCK_K"]
    of["a"].block_shape = [high, deep]
    of["b"].block_shape = [wide, deep] if of["TURNED"] else [deep, wide]
    of["out"].block_shape = [high, wide]


def tuned_product(itemsize, hook=None):
    configs = [
        triton.Config(
            {"BLOCK_M": m, "BLOCK_N": n, "BLOCK_K": depth // itemsize, "GROUP": 8},
            num_stages=stages,
            num_warps=warps,
            pre_hook=hook,
        )
        for m, n, depth, stages, warps in PRODUCTS
    ]
    key = ["m", "n", "k", "PRECISION"]
    even = triton.heuristics({"EVEN": lambda of: of["k"] % of["BLOCK_K"] == 0})
    return triton.autotune(configs, key=key)(even(product_kernel))


PRODUCTS_BY_POINTERS = {itemsize: tuned_product(itemsize) for itemsize in (1, 2, 4)}
PRODUCTS_BY_ENGINE = {itemsize: tuned_product(itemsize, product_blocks) for itemsize in (1, 2)}


def launch_product(kernel, a, b, out, strides, **constants):
    (m, n), k = out.shape, a.shape[1]
    grid = lambda of: (triton.cdiv(m, of["BLOCK_M"]) * triton.cdiv(n, of["BLOCK_N"]),)
    kernel[grid](a, b, out, m, n, k, *strides, **constants)


def matmul(a, b, out, tf32=False):
    """b may be a transposed view."""
    constants = {"PRECISION": "tf32" if tf32 else "ieee", "ENGINE": False, "TURNED": False}
    kernel = PRODUCTS_BY_POINTERS[a.element_size()]
    launch_product(kernel, a, b, out, (*a.stride(), *b.stride()), **constants)


def matmul_by_engine(a, b, out):
    """The copy engine brings the operands: of 8 and 16 bits, all of them contiguous but b, which may be a
    transposed view."""
    turned = b.stride(0) == 1
    whole = lambda tensor: TensorDescriptor.from_tensor(tensor, [1, 1])
    constants = {"PRECISION": "ieee", "ENGINE": True, "TURNED": turned}
    operands = whole(a), whole(b.t() if turned else b), whole(out)
    launch_product(PRODUCTS_BY_ENGINE[a.element_size()], *operands, (0, 0, 0, 0), **constants)


# fmt: off
@triton.jit
def attention_tile(x, start, first, length, ROWS: tl.constexpr, D: tl.constexpr, ENGINE: tl.constexpr,
                   EVEN: tl.constexpr):
    # fmt: on
    """Rows from `first` of a head that begins at row `start`."""
    if ENGINE:
        tile = x.load([start + first, 0])
    else:
        rows = first + tl.arange(0, ROWS)
        places = x + (start + rows).to(tl.int64)[:, None] * D + tl.arange(0, D)[None, :]
        if EVEN:
            tile = tl.load(places)
        else:
            tile = tl.load(places, mask=rows[:, None] < length, other=0.0)
    return tile


# fmt: off
@triton.jit
def attention_turns(acc, peak, total, query, k, v, start, rows, first, last, length, scale, MASKED: tl.constexpr,
                    KEYS: tl.constexpr, D: tl.constexpr, ENGINE: tl.constexpr, EVEN: tl.constexpr):
    # fmt: on
    for at in tl.range(first, last, KEYS):
        at = tl.multiple_of(at, KEYS)
        key = attention_tile(k, start, at, length, KEYS, D, ENGINE, EVEN)
        score = tl.dot(query, key.T)
        columns = at + tl.arange(0, KEYS)
        if MASKED:
            score = tl.where(rows[:, None] >= columns[None, :], score, float("-inf"))
        elif not EVEN:
            score = tl.where(columns[None, :] < length, score, float("-inf"))
        # Powers of 2: scale holds log2(e).
        new = tl.maximum(peak, tl.max(score, 1) * scale)
        power = tl.exp2(score * scale - new[:, None])
        fade = tl.exp2(peak - new)
        total = total * fade + tl.sum(power, 1)
        value = attention_tile(v, start, at, length, KEYS, D, ENGINE, EVEN)
        acc = tl.dot(power.to(value.dtype), value, acc * fade[:, None])
        peak = new
    return acc, peak, total


# fmt: off
@triton.jit
def attention_kernel(q, k, v, out, length, scale, CAUSAL: tl.constexpr, D: tl.constexpr, ENGINE: tl.constexpr,
                     EVEN: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr):
    # fmt: on
    # Causal programs with most turns first.
    program = tl.num_programs(0) - 1 - tl.program_id(0) if CAUSAL else tl.program_id(0)
    start, first = tl.program_id(1) * length, program * QUERIES
    rows = first + tl.arange(0, QUERIES)
    query = attention_tile(q, start, first, length, QUERIES, D, ENGINE, EVEN)
    acc = tl.zeros((QUERIES, D), dtype=tl.float32)
    peak = tl.full((QUERIES,), float("-inf"), dtype=tl.float32)
    total = tl.zeros((QUERIES,), dtype=tl.float32)
    scale *= LOG2_E
    # fmt: off
    seen = first if CAUSAL else length  # by all queries of the block
    acc, peak, total = attention_turns(acc, peak, total, query, k, v, start, rows, 0, seen, length, scale,
                                       False, KEYS, D, ENGINE, EVEN)
    if CAUSAL:
        last = tl.minimum(first + QUERIES, length)
        acc, peak, total = attention_turns(acc, peak, total, query, k, v, start, rows, first, last, length, scale,
                                           True, KEYS, D, ENGINE, EVEN)
    # fmt: on
    acc = acc / total[:, None]
    if ENGINE:
        out.store([start + first, 0], acc.to(out.dtype))
    else:
        places = out + (start + rows).to(tl.int64)[:, None] * D + tl.arange(0, D)[None, :]
        tl.store(places, acc, mask=rows[:, None] < length)


def attention_blocks(of):
    """The descriptors' blocks are those of the config."""
    for name, rows in [("q", "QUERIES"), ("k", "KEYS"), ("v", "KEYS"), ("out", "QUERIES")]:
        of[name].block_shape = [of[rows], of["D"]]


def tuned_attention(hook=None):
    configs = [
        triton.Config({"QUERIES": queries, "KEYS": keys}, num_stages=stages, num_warps=warps, pre_hook=hook)
        for queries, keys, stages, warps in ATTENTIONS
    ]
    return triton.autotune(configs, key=["length", "CAUSAL", "D"])(attention_kernel)


ATTENTION_BY_POINTERS = tuned_attention()
ATTENTION_BY_ENGINE = tuned_attention(attention_blocks)


def launch_attention(kernel, tensors, shape, causal, **constants):
    b, h, s, d = shape
    grid = lambda of: (triton.cdiv(s, of["QUERIES"]), b * h)
    kernel[grid](*tensors, s, d**-0.5, CAUSAL=causal, D=d, **constants)


def attention(q, k, v, out, causal):
    """Contiguous (batch, head, position, channel), as many keys as queries, a power of two of channels."""
    even = q.shape[2] % largest(ATTENTION_BY_POINTERS) == 0
    launch_attention(ATTENTION_BY_POINTERS, (q, k, v, out), q.shape, causal, ENGINE=False, EVEN=even)


def attention_by_engine(q, k, v, out, causal):
    """As `attention`, for whole blocks of queries and keys: the copy engine knows no heads."""
    if q.shape[2] % largest(ATTENTION_BY_ENGINE):
        raise ValueError(f"{q.shape[2]} positions are no multiple of the largest block")
    rows = [TensorDescriptor.from_tensor(x.view(-1, x.shape[-1]), [1, x.shape[-1]]) for x in (q, k, v, out)]
    launch_attention(ATTENTION_BY_ENGINE, rows, q.shape, causal, ENGINE=True, EVEN=True)


def largest(kernel):
    """Of the blocks that are tried."""
    return max(config.kwargs["QUERIES"] for config in kernel.configs)


def tuned_kernels():
    """All of them; each has a list `configs`."""
    rows = [softmax_kernel, layer_norm_kernel, rms_norm_kernel, cross_entropy_kernel]
    products = [*PRODUCTS_BY_POINTERS.values(), *PRODUCTS_BY_ENGINE.values()]
    return [*rows, swiglu_kernel, rope_kernel, *products, ATTENTION_BY_POINTERS, ATTENTION_BY_ENGINE]
