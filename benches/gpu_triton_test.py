"""Triton's kernels of gpu_triton.py in its interpreter, on the CPU: python3 -m unittest benches/gpu_triton_test.py

The interpreter (3.9) multiplies the bits of bf16 as integers, so products are of f32, f16 and f8e4m3 here.
"""

import os
import subprocess
import sys
import unittest
from pathlib import Path

# Compilation takes a process of its own: whether kernels are interpreted is settled when they are imported.
if sys.argv[1:] != ["compile"]:
    os.environ["TRITON_INTERPRET"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

try:
    import torch
    import triton

    import gpu_triton as peers

    LACKS = None
except ImportError as missing:
    LACKS = f"Triton's kernels need PyTorch and Triton: {missing}"
    print(f"skipped: {LACKS}")


def only(config, *kernels):
    """What would be tuned is taken as it stands: small blocks, so that there are several and parts of one."""
    for kernel in kernels:
        hook = kernel.configs[0].pre_hook
        kernel.configs = [triton.Config(config, pre_hook=hook)]


SHAPES = [(3, 64), (5, 100), (2, 1)]


def random(*shape, dtype=None):
    return (torch.rand(shape) * 2 - 1).to(dtype or torch.bfloat16)


@unittest.skipIf(LACKS, LACKS)
class Kernels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rows = [peers.softmax_kernel, peers.layer_norm_kernel, peers.rms_norm_kernel, peers.cross_entropy_kernel]
        only({}, *rows)
        only({"BLOCK": 32}, peers.swiglu_kernel, peers.rope_kernel)
        products = [*peers.PRODUCTS_BY_POINTERS.values(), *peers.PRODUCTS_BY_ENGINE.values()]
        only({"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32, "GROUP": 2}, *products)
        only({"QUERIES": 64, "KEYS": 32}, peers.ATTENTION_BY_POINTERS, peers.ATTENTION_BY_ENGINE)

    def setUp(self):
        torch.manual_seed(0)

    def near(self, got, wanted, least=1e-2):
        torch.testing.assert_close(got.float(), wanted.float(), rtol=least, atol=least)

    def test_softmax(self):
        for shape in SHAPES:
            x, out = random(*shape), torch.empty(shape, dtype=torch.bfloat16)
            peers.softmax(x, out)
            self.near(out, torch.softmax(x.float(), -1))

    def test_norms(self):
        for m, n in SHAPES:
            x, gain, shift, out = random(m, n), random(n), random(n), torch.empty(m, n, dtype=torch.bfloat16)
            peers.layer_norm(x, gain, shift, out)
            self.near(out, torch.nn.functional.layer_norm(x.float(), [n], gain.float(), shift.float(), 1e-5))
            peers.rms_norm(x, gain, out)
            self.near(out, torch.nn.functional.rms_norm(x.float(), [n], gain.float(), 1e-5))

    def test_cross_entropy(self):
        for m, n in SHAPES:
            x, out = random(m, n), torch.empty(m)
            targets = (torch.arange(m) * 7919 % n).int()
            peers.cross_entropy(x, targets, out)
            self.near(out, torch.nn.functional.cross_entropy(x.float(), targets.long(), reduction="none"), 1e-5)

    def test_swiglu(self):
        for shape in SHAPES:
            a, b, out = random(*shape), random(*shape), torch.empty(shape, dtype=torch.bfloat16)
            peers.swiglu(a, b, out)
            self.near(out, torch.nn.functional.silu(a.float()) * b.float())

    def test_rope(self):
        for m, half in SHAPES:
            x, out = random(m, 2, half), torch.empty(m, 2, half, dtype=torch.bfloat16)
            c, s = random(m, half, dtype=torch.float32), random(m, half, dtype=torch.float32)
            peers.rope(x, c, s, out)
            a, b = x[:, 0].float(), x[:, 1].float()
            self.near(out, torch.stack([a * c - b * s, b * c + a * s], 1))

    def test_products(self):
        for dtype in (torch.float32, torch.float16):
            for m, n, k in [(32, 64, 32), (70, 130, 100), (1, 1, 1)]:
                a, b = random(m, k, dtype=dtype), random(k, n, dtype=dtype)
                out = torch.empty(m, n, dtype=dtype)
                peers.matmul(a, b, out, tf32=dtype == torch.float32)
                self.near(out, a.float() @ b.float(), 2e-2 if dtype != torch.float32 else 1e-4)

    def test_products_by_the_copy_engine(self):
        for m, n, k in [(64, 128, 64), (70, 136, 104)]:
            a, b = random(m, k, dtype=torch.float16), random(k, n, dtype=torch.float16)
            out = torch.empty(m, n, dtype=torch.float16)
            peers.matmul_by_engine(a, b, out)
            self.near(out, a.float() @ b.float(), 2e-2)

    def test_products_of_eighths(self):
        for m, n, k in [(64, 128, 64), (70, 144, 112)]:
            a, w = (random(*shape, dtype=torch.float8_e4m3fn) for shape in [(m, k), (n, k)])
            for product in (peers.matmul, peers.matmul_by_engine):
                out = torch.empty(m, n, dtype=torch.bfloat16)
                product(a, w.t(), out)
                self.near(out, a.float() @ w.float().t(), 2e-2)

    def test_attention(self):
        for causal in (False, True):
            for shape in [(1, 2, 128, 64), (2, 1, 100, 32), (1, 1, 1, 16), (1, 1, 65, 128)]:
                q, k, v = (random(*shape, dtype=torch.float16) for _ in range(3))
                exact = [x.float() for x in (q, k, v)]
                wanted = torch.nn.functional.scaled_dot_product_attention(*exact, is_causal=causal)
                whole = shape[2] % 64 == 0
                for attention in (peers.attention, peers.attention_by_engine)[: 1 + whole]:
                    out = torch.empty(shape, dtype=torch.float16)
                    attention(q, k, v, out, causal)
                    self.near(out, wanted)

    def test_parts_of_a_block_are_not_for_the_copy_engine(self):
        x = random(1, 1, 65, 64)
        with self.assertRaisesRegex(ValueError, "65 positions"):
            peers.attention_by_engine(x, x, x, torch.empty_like(x), False)


@unittest.skipIf(LACKS, LACKS)
class Texts(unittest.TestCase):
    def test_kernels_compile_for_the_h100(self):
        environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
        command = [sys.executable, __file__, "compile"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(int(done.stdout), 20)


def compile_all():
    """Each kernel in each form for the H100, which needs no GPU: the first of its configs."""
    pointers = {name: "*bf16" for name in ("x", "gain", "shift", "out", "logits", "a", "b")}
    plain = {**pointers, "targets": "*i32", "cosine": "*fp32", "sine": "*fp32", "n": "i32", "half": "i32"}
    plain |= {"count": "i32", "epsilon": "fp32"}
    for kernel in peers.tuned_kernels()[:6]:
        types = plain | ({"out": "*fp32"} if kernel is peers.cross_entropy_kernel else {})
        compiled(kernel, kernel.fn, types, {"BLOCK": 4096})
    forms = [("bf16", "bf16", 2, "ieee"), ("fp16", "fp16", 2, "ieee"), ("fp8e4nv", "bf16", 1, "ieee")]
    forms += [("fp32", "fp32", 4, "tf32"), ("fp32", "fp32", 4, "ieee")]
    for ty, out, size, precision in forms:
        for engine in (False, True)[: 1 + (size < 4)]:
            kernel = (peers.PRODUCTS_BY_ENGINE if engine else peers.PRODUCTS_BY_POINTERS)[size]
            turned = engine and size == 1
            constants = {"PRECISION": precision, "ENGINE": engine, "TURNED": turned, "EVEN": True}
            types = {"a": f"*{ty}", "b": f"*{ty}", "out": f"*{out}"}
            types |= {name: "i32" for name in ("m", "n", "k", "a_row", "b_row", "b_column")}
            if engine:
                config = kernel.configs[0].kwargs
                m, n, k = (config[f"BLOCK_{axis}"] for axis in "MNK")
                b = f"{n}, {k}" if turned else f"{k}, {n}"
                types |= {"a": f"tensordesc<{ty}[{m}, {k}]>", "b": f"tensordesc<{ty}[{b}]>"}
                types["out"] = f"tensordesc<{out}[{m}, {n}]>"
            compiled(kernel, peers.product_kernel, types, {**constants, "a_column": 1})
    for engine, kernel in [(False, peers.ATTENTION_BY_POINTERS), (True, peers.ATTENTION_BY_ENGINE)]:
        config = kernel.configs[0].kwargs
        for causal in (False, True):
            for d in (64, 128):
                types = {"length": "i32", "scale": "fp32"}
                for name, rows in [("q", "QUERIES"), ("k", "KEYS"), ("v", "KEYS"), ("out", "QUERIES")]:
                    types[name] = f"tensordesc<bf16[{config[rows]}, {d}]>" if engine else "*bf16"
                constants = {"CAUSAL": causal, "D": d, "ENGINE": engine, "EVEN": True}
                compiled(kernel, peers.attention_kernel, types, constants)
    print(COUNT)


COUNT = 0


def compiled(kernel, function, types, constants):
    global COUNT
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    config = kernel.configs[0]
    constants = {**constants, **config.kwargs}
    signature = {name: types.get(name, "constexpr") for name in function.arg_names}
    given = {name: constants[name] for name, ty in signature.items() if ty == "constexpr"}
    aligned = [at for at, ty in enumerate(signature.values()) if ty.startswith("*") or ty == "i32"]
    source = ASTSource(function, signature, given, {(at,): [["tt.divisibility", 16]] for at in aligned})
    options = {"num_warps": config.num_warps, "num_stages": config.num_stages}
    triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    COUNT += 1


if __name__ == "__main__":
    if sys.argv[1:] == ["compile"]:
        compile_all()
    else:
        unittest.main()
