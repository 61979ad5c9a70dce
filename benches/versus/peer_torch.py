"""PyTorch on the CPU, eager or through torch.compile.

Each row gives one or more calls that return the result; the fastest counts. Eager calls write to an
output made before where the operation has a form for it; what torch.compile makes writes to its
argument `out`, except where it would only copy into it what another library allocated.
"""

import torch
import torch.nn.functional as F

from . import inputs
from .checkpoint import checkpoint
from .rows import MODEL
from .text import Text

HALVES = {"matmul_bf16": torch.bfloat16, "matmul_f16": torch.float16}
aten = torch.ops.aten


def random(seed, *shape):
    return torch.from_numpy(inputs.floats(seed, *shape).copy())


class Torch:
    def __init__(self, threads, compiled):
        torch.set_num_threads(threads)
        self.compiled = compiled

    def info(self):
        return f"PyTorch {torch.__version__}" + (", torch.compile" if self.compiled else ", eager")

    def context(self):
        return torch.inference_mode()

    def open_row(self, operation, *shape):
        rows = Compiled() if self.compiled else Eager()
        if operation in HALVES:
            return rows.matmul_half(*shape, HALVES[operation])
        if operation.startswith("attention"):
            return rows.attention(operation, *shape)
        build = getattr(rows, operation, None)
        return build(*shape) if build else []

    def close_row(self):
        if self.compiled:
            torch._dynamo.reset()


class Eager:
    def matmul(self, m, n, k):
        x, w, out = random(1, m, k), random(2, k, n), torch.empty(m, n)
        return [lambda: torch.mm(x, w, out=out)]

    def matmul_half(self, m, n, k, dtype):
        x, w, out = random(1, m, k), random(2, n, k).to(dtype), torch.empty(m, n)
        small, narrow, wide = x.to(dtype), torch.empty(m, n, dtype=dtype), torch.empty(n, k)

        def as_weights():
            torch.mm(small.copy_(x), w.t(), out=narrow)
            return out.copy_(narrow)

        def as_activations():
            return torch.mm(x, wide.copy_(w).t(), out=out)

        return [as_weights, as_activations]

    def matmul_int8(self, m, n, k):
        x, w = torch.from_numpy(inputs.int8(1, m, k)), torch.from_numpy(inputs.int8(2, n, k))
        out, dense = torch.empty(m, n, dtype=torch.int32), w.t().contiguous()
        return [lambda: torch._int_mm(x, w.t(), out=out), lambda: torch._int_mm(x, dense, out=out)]

    def linear_gelu(self, m, n, k):
        x, w, bias = random(1, m, k), random(2, n, k), random(3, n)
        hidden, out = torch.empty(m, n), torch.empty(m, n)

        def call():
            torch.addmm(bias, x, w.t(), out=hidden)
            return aten.gelu.out(hidden, approximate="none", out=out)

        return [call]

    def softmax(self, m, n):
        x, out = random(1, m, n), torch.empty(m, n)
        return [lambda: aten._softmax.out(x, -1, False, out=out)]

    def layer_norm(self, m, n):
        x, gain, shift, out = random(1, m, n), random(2, n), random(3, n), torch.empty(m, n)
        mean, rstd = torch.empty(m, 1), torch.empty(m, 1)

        def call():
            aten.native_layer_norm.out(x, [n], gain, shift, 1e-5, out0=out, out1=mean, out2=rstd)
            return out

        return [call, lambda: F.layer_norm(x, [n], gain, shift, 1e-5)]

    def rms_norm(self, m, n):
        x, gain, out, mean = random(1, m, n), random(2, n), torch.empty(m, n), torch.empty(m, 1)

        def in_steps():
            torch.mean(torch.mul(x, x, out=out), 1, keepdim=True, out=mean)
            torch.mul(x, mean.add_(1e-5).rsqrt_(), out=out)
            return out.mul_(gain)

        return [lambda: F.rms_norm(x, [n], gain, 1e-5), in_steps]

    def gelu(self, m, n, approximate="none"):
        x, out = random(1, m, n), torch.empty(m, n)
        return [lambda: aten.gelu.out(x, approximate=approximate, out=out)]

    def gelu_tanh(self, m, n):
        return self.gelu(m, n, "tanh")

    def silu_mul(self, m, n):
        x, y, out = random(1, m, n), random(2, m, n), torch.empty(m, n)
        return [lambda: aten.silu.out(x, out=out).mul_(y)]

    def rope(self, m, n):
        half = n // 2
        x, out = random(1, m, n), torch.empty(m, n)
        cosine, sine = random(2, m, half), random(3, m, half)
        (a, b), (first, second) = x.split(half, 1), out.split(half, 1)

        def call():
            torch.mul(a, cosine, out=first).addcmul_(b, sine, value=-1)
            torch.mul(b, cosine, out=second).addcmul_(a, sine)
            return out

        return [call]

    def row_sum(self, m, n):
        x, out = random(1, m, n), torch.empty(m)
        return [lambda: torch.sum(x, 1, out=out)]

    def add(self, m, n):
        x, y, out = random(1, m, n), random(2, m, n), torch.empty(m, n)
        return [lambda: torch.add(x, y, out=out)]

    def cross_entropy(self, m, n):
        x, targets = random(1, m, n), torch.from_numpy(inputs.indices(2, m, n))
        logs, out = torch.empty(m, n), torch.empty(m, 1)

        def in_steps():
            torch.gather(aten._log_softmax.out(x, 1, False, out=logs), 1, targets[:, None], out=out)
            return out.neg_()

        return [in_steps, lambda: F.cross_entropy(x, targets, reduction="none")]

    def attention(self, operation, *shape):
        q, k, v, causal = heads(operation, *shape)
        grouped = k.shape[1] != q.shape[1]
        # No form with out=.
        return [lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)]

    def minilm(self, sentences, width):
        if not MODEL.exists():
            return []
        embed, ids = Bert(), tokens(sentences, width)
        return [lambda: embed(ids)]

    def minilm_text(self, sentences):
        return from_text(Bert(), sentences) if MODEL.exists() else []


def heads(operation, *shape):
    """Queries, keys, values, and whether a query sees no later key."""
    if operation == "attention_decode":
        b, h, g, length, d = shape
        return random(1, b, h, 1, d), random(2, b, g, length, d), random(3, b, g, length, d), False
    return *(random(seed, *shape) for seed in (1, 2, 3)), operation == "attention_causal"


class Compiled:
    def matmul(self, m, n, k):
        x, w = random(1, m, k), random(2, k, n)
        return product(torch.mm, x, w, out=torch.empty(m, n)) + frozen(torch.mm, x, w)

    def matmul_half(self, m, n, k, dtype):
        x, w, out = random(1, m, k), random(2, n, k).to(dtype), torch.empty(m, n)
        as_weights = product(lambda x, w: torch.mm(x.to(dtype), w.t()).float(), x, w, out=out)
        return as_weights + product(lambda x, w: torch.mm(x, w.float().t()), x, w, out=out)

    def matmul_int8(self, m, n, k):
        x, w = torch.from_numpy(inputs.int8(1, m, k)), torch.from_numpy(inputs.int8(2, n, k))
        return product(lambda x, w: torch._int_mm(x, w.t()), x, w, out=torch.empty(m, n, dtype=torch.int32))

    def linear_gelu(self, m, n, k):
        tensors = random(1, m, k), random(2, n, k), random(3, n)
        linear = lambda x, w, bias: F.gelu(F.linear(x, w, bias))
        return product(linear, *tensors, out=torch.empty(m, n)) + frozen(linear, *tensors)

    def softmax(self, m, n):
        return fused(lambda x: torch.softmax(x, -1), random(1, m, n))

    def layer_norm(self, m, n):
        tensors = random(1, m, n), random(2, n), random(3, n)
        return fused(lambda x, gain, shift: F.layer_norm(x, [n], gain, shift, 1e-5), *tensors)

    def rms_norm(self, m, n):
        return fused(lambda x, gain: F.rms_norm(x, [n], gain, 1e-5), random(1, m, n), random(2, n))

    def gelu(self, m, n):
        return fused(F.gelu, random(1, m, n))

    def gelu_tanh(self, m, n):
        return fused(lambda x: F.gelu(x, approximate="tanh"), random(1, m, n))

    def silu_mul(self, m, n):
        return fused(lambda x, y: F.silu(x) * y, random(1, m, n), random(2, m, n))

    def rope(self, m, n):
        def turn(x, cosine, sine):
            a, b = x.chunk(2, 1)
            return torch.cat([a * cosine - b * sine, b * cosine + a * sine], 1)

        return fused(turn, random(1, m, n), random(2, m, n // 2), random(3, m, n // 2))

    def row_sum(self, m, n):
        return fused(lambda x: x.sum(1), random(1, m, n), out=torch.empty(m))

    def add(self, m, n):
        return fused(torch.add, random(1, m, n), random(2, m, n))

    def cross_entropy(self, m, n):
        targets = torch.from_numpy(inputs.indices(2, m, n))
        loss = lambda x, targets: F.cross_entropy(x, targets, reduction="none")
        return fused(loss, random(1, m, n), targets, out=torch.empty(m))

    def attention(self, operation, *shape):
        q, k, v, causal = heads(operation, *shape)
        grouped = k.shape[1] != q.shape[1]
        attend = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)
        return product(attend, q, k, v)

    def minilm(self, sentences, width):
        if not MODEL.exists():
            return []
        ids = tokens(sentences, width)
        return [lambda embed=embed: embed(ids) for embed in compiled_bert()]

    def minilm_text(self, sentences):
        if not MODEL.exists():
            return []
        return [call for embed in compiled_bert() for call in from_text(embed, sentences)]


def fused(function, *tensors, out=None):
    """What is generated stores straight to `out`."""
    out = torch.empty_like(tensors[0]) if out is None else out
    into = torch.compile(lambda out, *tensors: out.copy_(function(*tensors)), dynamic=False)
    return [lambda: into(out, *tensors)]


def product(function, *tensors, out=None):
    """A library's product may not be able to store to `out` but by a copy: a new tensor is offered too."""
    new = torch.compile(function, dynamic=False)
    return (fused(function, *tensors, out=out) if out is not None else []) + [lambda: new(*tensors)]


def frozen(function, x, *weights):
    """Weights as constants, which torch.compile may lay out once."""

    class Frozen(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = torch.nn.ParameterList([torch.nn.Parameter(w, requires_grad=False) for w in weights])

        def forward(self, x):
            return function(x, *self.weights)

    compiled = torch.compile(Frozen(), dynamic=False, options={"freezing": True})
    return [lambda: compiled(x)]


def compiled_bert():
    """With weights as inputs, and as constants."""
    return [torch.compile(Bert(), dynamic=False, options={"freezing": frozen}) for frozen in (False, True)]


def tokens(sentences, width):
    return torch.from_numpy(inputs.token_ids(sentences, width))


def from_text(embed, sentences):
    def call(ids, mask):
        return embed(torch.from_numpy(ids), None if mask is None else torch.from_numpy(mask))

    return Text(sentences).calls(call)


class Bert(torch.nn.Module):
    """all-MiniLM-L6-v2 from token ids to normalised embeddings, with the queries', keys' and values'
    products as one, which no library of models does: a little faster than theirs."""

    def __init__(self):
        super().__init__()
        w = {name: torch.from_numpy(array.copy()) for name, array in checkpoint().items()}
        self.blocks = [f"encoder.layer.{block}" for block in range(6)]
        for block in self.blocks:
            parts = [f"{block}.attention.self.{part}" for part in ("query", "key", "value")]
            for kind in ("weight", "bias"):
                w[f"{block}.qkv.{kind}"] = torch.cat([w.pop(f"{part}.{kind}") for part in parts])
        self.places = {name: place for place, name in enumerate(w)}
        self.weights = torch.nn.ParameterList([torch.nn.Parameter(x, requires_grad=False) for x in w.values()])

    def w(self, name):
        return self.weights[self.places[name]]

    def norm(self, x, name):
        return F.layer_norm(x, [384], self.w(f"{name}.LayerNorm.weight"), self.w(f"{name}.LayerNorm.bias"), 1e-12)

    def linear(self, x, name):
        return F.linear(x, self.w(f"{name}.weight"), self.w(f"{name}.bias"))

    def forward(self, ids, mask=None):
        seen = None if mask is None else mask[:, None, None]
        x = F.embedding(ids, self.w("embeddings.word_embeddings.weight"))
        x = x + self.w("embeddings.position_embeddings.weight")[: ids.shape[1]]
        x = self.norm(x + self.w("embeddings.token_type_embeddings.weight")[0], "embeddings")
        for block in self.blocks:
            qkv = self.linear(x, f"{block}.qkv").view(*ids.shape, 3, 12, 32)
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
            mixed = F.scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).reshape(x.shape)
            x = self.norm(x + self.linear(mixed, f"{block}.attention.output.dense"), f"{block}.attention.output")
            inner = F.gelu(self.linear(x, f"{block}.intermediate.dense"))
            x = self.norm(x + self.linear(inner, f"{block}.output.dense"), f"{block}.output")
        # Of a vector that is normalised afterwards the sum does as well as the mean.
        pooled = x.mean(1) if mask is None else (x * mask[:, :, None]).sum(1)
        return F.normalize(pooled, dim=1)
