"""ONNX Runtime on the CPU: a graph of one or a few nodes for each row.

Inputs and output are bound before, so a call neither copies nor allocates them. Weights are offered both
as inputs, as ours are, and as constants, which the session packs once when it opens; the fastest counts.
"""

import contextlib
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from . import inputs
from .checkpoint import checkpoint
from .rows import MODEL
from .text import Text

OPSETS = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
TYPES = {
    "float32": TensorProto.FLOAT,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
}


def node(kind, taken, output, **attributes):
    return helper.make_node(kind, taken.split(" "), [output], **attributes)


def contrib(kind, taken, output, **attributes):
    return node(kind, taken, output, domain="com.microsoft", **attributes)


@dataclass
class Graph:
    """Nodes that make `out` of tensors by name."""

    nodes: list
    inputs: dict
    shape: tuple
    constants: dict
    dtype: type = np.float32

    def model(self):
        def value(name, dtype, shape):
            return helper.make_tensor_value_info(name, TYPES[np.dtype(dtype).name], shape)

        taken = [value(name, array.dtype, array.shape) for name, array in self.inputs.items()]
        constants = [
            array if isinstance(array, TensorProto) else numpy_helper.from_array(array, name)
            for name, array in self.constants.items()
        ]
        out = value("out", self.dtype, self.shape)
        graph = helper.make_graph(self.nodes, "row", taken, [out], constants)
        return helper.make_model(graph, opset_imports=OPSETS, ir_version=10)


class Onnx:
    def __init__(self, threads):
        self.options = ort.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1
        self.options.log_severity_level = 3

    def info(self):
        return f"ONNX Runtime {ort.__version__}"

    def context(self):
        return contextlib.nullcontext()

    def open_row(self, operation, *shape):
        if operation == "minilm_text":
            return self.minilm_text(*shape)
        build = GRAPHS.get(operation)
        calls, failures = [], []
        for graph in build(*shape) if build else []:
            try:
                call = self.call(graph)
                call()
                calls.append(call)
            except Exception as error:  # one way may be unknown to this version, all may not
                failures.append(error)
        if failures and not calls:
            raise failures[0]
        return calls

    def session(self, graph):
        model = graph.model().SerializeToString()
        return ort.InferenceSession(model, self.options, providers=["CPUExecutionProvider"])

    def minilm_text(self, sentences):
        if not MODEL.exists():
            return []
        sessions = {}

        def embed(ids, mask):
            feed = {"x": ids}
            if mask is not None:
                feed |= {"lengths": mask.sum(1, dtype=np.int32), "mask": mask[:, None].astype(np.float32)}
            kind = (ids.shape, mask is None)
            if kind not in sessions:
                sessions[kind] = self.session(bert(feed))
            return sessions[kind].run(None, feed)[0]

        return Text(sentences).calls(embed)

    def call(self, graph):
        session = self.session(graph)
        binding = session.io_binding()
        held = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in graph.inputs.items()}
        for name, tensor in held.items():
            binding.bind_ortvalue_input(name, tensor)
        out = ort.OrtValue.ortvalue_from_numpy(np.zeros(graph.shape, graph.dtype))
        binding.bind_ortvalue_output("out", out)

        def call():
            session.run_with_iobinding(binding)
            return Lazy(out)

        call.held = held  # as long as the binding refers to them
        return call

    def close_row(self):
        pass


class Lazy:
    """A result that is copied only when somebody looks."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __array__(self, dtype=None, copy=None):
        return self.tensor.numpy()


def either(nodes, shape, x, weights, dtype=np.float32):
    """Weights as inputs, and as constants."""
    return [
        Graph(nodes, {"x": x} | weights, shape, {}, dtype),
        Graph(nodes, {"x": x}, shape, dict(weights), dtype),
    ]


def matmul(m, n, k):
    x, w = inputs.floats(1, m, k), inputs.floats(2, k, n)
    return either([node("MatMul", "x w", "out")], (m, n), x, {"w": w})


def matmul_half(kind):
    def build(m, n, k):
        w = np.ascontiguousarray(inputs.floats(2, n, k).T)
        constant = numpy_helper.from_array(w, "w")
        if kind == TensorProto.FLOAT16:
            constant = numpy_helper.from_array(w.astype(np.float16), "w")
        else:
            bits = w.view(np.uint32)
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # to nearest even
            raw = rounded.astype(np.uint16).tobytes()
            constant = helper.make_tensor("w", kind, w.shape, raw, raw=True)
        nodes = [node("Cast", "w", "wide", to=TensorProto.FLOAT), node("MatMul", "x wide", "out")]
        return [Graph(nodes, {"x": inputs.floats(1, m, k)}, (m, n), {"w": constant})]

    return build


def matmul_int8(m, n, k):
    """Activations as they are, and as bytes from 0 with 128 for zero, for which it has faster code."""
    x, w = inputs.int8(1, m, k), np.ascontiguousarray(inputs.int8(2, n, k).T)
    shifted = {"x": x.view(np.uint8) ^ 128}
    constants = {"w": w, "zero": np.array(128, np.uint8)}
    return [
        *either([node("MatMulInteger", "x w", "out")], (m, n), x, {"w": w}, np.int32),
        Graph([node("MatMulInteger", "x w zero", "out")], shifted, (m, n), constants, np.int32),
    ]


def linear_gelu(m, n, k):
    x, bias = inputs.floats(1, m, k), {"bias": inputs.floats(3, n)}
    w = inputs.floats(2, n, k)
    gemm = [node("Gemm", "x w bias", "hidden", transB=1), node("Gelu", "hidden", "out")]
    separate = [node("MatMul", "x w", "hidden"), contrib("BiasGelu", "hidden bias", "out")]
    return [
        *either(gemm, (m, n), x, {"w": w} | bias),
        Graph(separate, {"x": x}, (m, n), {"w": np.ascontiguousarray(w.T)} | bias),
    ]


def over_rows(*nodes, taken=(), reduced=False):
    """On a matrix, with more tensors: seeds and shapes, `m` and `n` by name."""

    def build(m, n):
        x, lengths = inputs.floats(1, m, n), {"m": m, "n": n, "half": n // 2}
        more = {
            name: inputs.floats(seed, *(lengths[length] for length in shape.split()))
            for name, seed, shape in taken
        }
        constants = {"axis": np.array([1])} if reduced else {}
        return [Graph(list(nodes), {"x": x} | more, (m,) if reduced else (m, n), constants)]

    return build


def rope(m, n):
    x = inputs.floats(1, m, n).reshape(1, 1, m, n)
    cosine, sine = inputs.floats(2, m, n // 2), inputs.floats(3, m, n // 2)
    positions = np.arange(m).reshape(1, m)
    turn = [contrib("RotaryEmbedding", "x positions cosine sine", "out")]
    steps = [
        helper.make_node("Split", ["x"], ["a", "b"], axis=3, num_outputs=2),
        *(node("Mul", f"{left} {right}", left + right) for left in "ab" for right in ("cosine", "sine")),
        node("Sub", "acosine bsine", "first"),
        node("Add", "bcosine asine", "second"),
        node("Concat", "first second", "out", axis=3),
    ]
    angles = {"cosine": cosine, "sine": sine}
    return [
        Graph(turn, {"x": x, "positions": positions} | angles, x.shape, {}),
        Graph(steps, {"x": x} | angles, x.shape, {}),
    ]


def cross_entropy(m, n):
    taken = {"x": inputs.floats(1, m, n), "targets": inputs.indices(2, m, n)}
    loss = [node("SoftmaxCrossEntropyLoss", "x targets", "out", reduction="none")]
    steps = [
        node("LogSoftmax", "x", "logs", axis=1),
        node("Unsqueeze", "targets axis", "columns"),
        node("GatherElements", "logs columns", "picked", axis=1),
        node("Neg", "picked", "negative"),
        node("Squeeze", "negative axis", "out"),
    ]
    return [Graph(loss, taken, (m,), {}), Graph(steps, taken, (m,), {"axis": np.array([1])})]


def attention(b, h, s, d, causal=0):
    return attend((b, h, s, d), (b, h, s, d), causal)


def attention_decode(b, h, g, length, d):
    return attend((b, h, 1, d), (b, g, length, d), 0)


def attend(shape, keys, causal):
    """The standard's node, and the contributed one for equal heads: it takes tokens before heads."""
    q, k, v = inputs.floats(1, *shape), inputs.floats(2, *keys), inputs.floats(3, *keys)
    nodes = [node("Attention", "q k v", "out", is_causal=causal)]
    graphs = [Graph(nodes, {"q": q, "k": k, "v": v}, shape, {})]
    if shape[1] == keys[1] and shape[0] == 1:
        b, h, s, d = shape
        by_token = [array.transpose(0, 2, 1, 3).reshape(b, -1, h * d) for array in (q, k, v)]
        nodes = [
            contrib("MultiHeadAttention", "q k v", "flat", num_heads=h, unidirectional=causal),
            node("Reshape", "flat tokens", "apart"),
            node("Transpose", "apart", "out", perm=[0, 2, 1, 3]),
        ]
        taken = {name: np.ascontiguousarray(array) for name, array in zip("qkv", by_token)}
        graphs.append(Graph(nodes, taken, shape, {"tokens": np.array([b, s, h, d])}))
    return graphs


def add_norm(taken, output):
    return contrib("SkipLayerNormalization", taken, output, epsilon=1e-12)


def minilm(sentences, width):
    if not MODEL.exists():
        return []
    return [bert({"x": inputs.token_ids(sentences, width)})]


def bert(taken):
    """all-MiniLM-L6-v2 in the nodes that ONNX Runtime's own optimizer of transformers would leave. `taken` are the
    token ids `x`, and if rows are padded `lengths` and `mask`."""
    (sentences, width), padded = taken["x"].shape, "mask" in taken
    w, nodes = checkpoint(), []
    constants = {"axis": np.array([1]), "words": w["embeddings.word_embeddings.weight"]}
    places = w["embeddings.position_embeddings.weight"][None, :width]
    constants["places"] = places + w["embeddings.token_type_embeddings.weight"][0]

    def norm(name, prefix):
        constants[f"{name}.gain"], constants[f"{name}.shift"] = w[f"{prefix}.weight"], w[f"{prefix}.bias"]
        return f"{name}.gain {name}.shift"

    def linear(x, name, prefix):
        constants[f"{name}.w"], constants[f"{name}.b"] = w[f"{prefix}.weight"].T.copy(), w[f"{prefix}.bias"]
        nodes.append(node("MatMul", f"{x} {name}.w", name))
        return name

    nodes.append(node("Gather", "words x", "word"))
    nodes.append(node("Add", "word places", "sum"))
    first = norm("embedded", "embeddings.LayerNorm")
    nodes.append(node("LayerNormalization", f"sum {first}", "embedded", epsilon=1e-12))
    x = "embedded"
    for at in range(6):
        block = f"encoder.layer.{at}"
        parts = [f"{block}.attention.self.{part}" for part in ("query", "key", "value")]
        constants[f"{at}.qkv"] = np.concatenate([w[f"{part}.weight"].T for part in parts], 1)
        constants[f"{at}.qkv.b"] = np.concatenate([w[f"{part}.bias"] for part in parts])
        tokens = f"{x} {at}.qkv {at}.qkv.b" + (" lengths" if padded else "")
        nodes.append(contrib("Attention", tokens, f"{at}.mixed", num_heads=12))
        mixed = linear(f"{at}.mixed", f"{at}.dense", f"{block}.attention.output.dense")
        after = norm(f"{at}.a", f"{block}.attention.output.LayerNorm")
        nodes.append(add_norm(f"{mixed} {x} {after} {mixed}.b", f"{at}.a"))
        inner = linear(f"{at}.a", f"{at}.inner", f"{block}.intermediate.dense")
        nodes.append(contrib("BiasGelu", f"{inner} {inner}.b", f"{at}.gelu"))
        narrow = linear(f"{at}.gelu", f"{at}.narrow", f"{block}.output.dense")
        after = norm(f"{at}.o", f"{block}.output.LayerNorm")
        nodes.append(add_norm(f"{narrow} {at}.a {after} {narrow}.b", f"{at}.o"))
        x = f"{at}.o"
    # Of a vector that is normalised afterwards the sum does as well as the mean.
    pool = node("MatMul", f"mask {x}", "pooled") if padded else node("ReduceMean", f"{x} axis", "pooled")
    nodes += [pool, node("LpNormalization", "pooled", "out", axis=2, p=2)]
    return Graph(nodes, taken, (sentences, 1, 384), constants)


GRAPHS = {
    "matmul": matmul,
    "matmul_bf16": matmul_half(TensorProto.BFLOAT16),
    "matmul_f16": matmul_half(TensorProto.FLOAT16),
    "matmul_int8": matmul_int8,
    "linear_gelu": linear_gelu,
    "softmax": over_rows(node("Softmax", "x", "out", axis=-1)),
    "layer_norm": over_rows(
        node("LayerNormalization", "x gain shift", "out", epsilon=1e-5),
        taken=[("gain", 2, "n"), ("shift", 3, "n")],
    ),
    "rms_norm": over_rows(
        node("SimplifiedLayerNormalization", "x gain", "out", epsilon=1e-5, axis=-1), taken=[("gain", 2, "n")]
    ),
    "gelu": over_rows(node("Gelu", "x", "out")),
    "gelu_tanh": over_rows(node("Gelu", "x", "out", approximate="tanh")),
    "silu_mul": over_rows(
        contrib("QuickGelu", "x", "gated", alpha=1.0), node("Mul", "gated y", "out"), taken=[("y", 2, "m n")]
    ),
    "rope": rope,
    "row_sum": over_rows(node("ReduceSum", "x axis", "out", keepdims=0), reduced=True),
    "add": over_rows(node("Add", "x y", "out"), taken=[("y", 2, "m n")]),
    "cross_entropy": cross_entropy,
    "attention": attention,
    "attention_causal": lambda *shape: attention(*shape, causal=1),
    "attention_decode": attention_decode,
    "minilm": minilm,
}
