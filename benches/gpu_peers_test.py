"""The GPU table of made-up numbers, and how contestants are let in: python3 -m unittest benches/gpu_peers_test.py"""

import argparse
import json
import struct
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import gpu_peers
import gpu_report

try:
    import torch

    LACKS = None
except ImportError as missing:
    LACKS = f"contestants are checked with PyTorch: {missing}"
    print(f"skipped: {LACKS}")


def row(name, bytes_=2e6, flops=0.0):
    return {"name": name, "bytes": bytes_, "flops": flops}


def record(**changes):
    seconds = {
        "softmax 4x8": {"ours": [2e-6, 1e-6, 2e-6], "eager": [4e-6, 4e-6, 4e-6], "triton": [3e-6, 3e-6, 2e-6]},
        "matmul f8e4m3 8": {"ours": [1e-3], "eager": [5e-4]},
        "launch of nothing": {"ours": [1e-6]},
        "rope 4x8": {"eager": [1e-6]},
    }
    rows = [row(name, flops=1e9 if "matmul" in name else 0.0) for name in seconds]
    failed = {"softmax 4x8": {"compiled": "the result is wrong"}, "rope 4x8": {"ours": "no such kernel"}}
    made = {"device": "cuda:0 (A <GPU>)", "driver": "", "versions": {"PyTorch": "3"}, "date": "2026-01-01"}
    return made | {"rounds": 3, "rows": rows, "seconds": seconds, "apart": {}, "failed": failed} | changes


class Reports(unittest.TestCase):
    def test_a_row_has_medians_speeds_and_the_ratio_to_the_best_peer(self):
        text = gpu_report.markdown(record())
        # Paired rounds: 1.5, 3, 1.
        self.assertIn("| softmax 4x8 | 2.00 | 1000 | 0.0 | 4.00 |  | 3.00 | 1.50 (1.00 to 3.00) | triton |", text)
        self.assertIn("| matmul f8e4m3 8 | 1000.00 | 2 | 1.0 | 500.00 |  |  | 0.50 (0.50 to 0.50) | eager |", text)
        self.assertIn("| launch of nothing | 1.00 | 2000 | 0.0 |  |  |  |  |  |", text)

    def test_a_row_without_ours_has_its_peers_and_the_reason(self):
        text = gpu_report.markdown(record())
        self.assertIn("| rope 4x8 |  |  |  | 1.00 |  |  |  |  |", text)
        self.assertIn("- rope 4x8: ours: no such kernel", text)
        self.assertIn("- softmax 4x8: compiled: the result is wrong", text)

    def test_the_chart_has_a_bar_a_ratio_in_the_best_peers_colour(self):
        tree = ElementTree.fromstring(gpu_report.chart(record()))
        rects = [shape for shape in tree if shape.tag.endswith("rect")]
        # The background, a square a peer, the bars.
        self.assertEqual(len(rects), 1 + 3 + 2)
        eager, _, triton = (shape.get("fill") for shape in rects[1:4])
        self.assertEqual([shape.get("fill") for shape in rects[4:]], [triton, eager])
        words = [shape.text for shape in tree if shape.tag.endswith("text")]
        self.assertIn("1.50 triton", words)

    def test_a_chart_of_nothing_is_well_formed(self):
        ElementTree.fromstring(gpu_report.chart(record(seconds={})))

    def test_rows_measured_again_replace_those_of_the_day(self):
        again = record(rows=[row("rope 4x8"), row("copy 4x8")], failed={})
        again["seconds"] = {"rope 4x8": {"ours": [9e-6]}, "copy 4x8": {"ours": [1e-6]}}
        both = gpu_report.merged(record(), again)
        names = [row["name"] for row in both["rows"]]
        self.assertEqual(names, ["softmax 4x8", "matmul f8e4m3 8", "launch of nothing", "rope 4x8", "copy 4x8"])
        self.assertEqual(both["seconds"]["rope 4x8"], {"ours": [9e-6]})
        self.assertEqual(list(both["failed"]), ["softmax 4x8"])

    def test_files_of_a_day_grow(self):
        with tempfile.TemporaryDirectory() as folder:
            gpu_peers.write(record(), Path(folder))
            gpu_peers.write(record(rows=[row("copy 4x8")], seconds={"copy 4x8": {"ours": [1e-6]}}), Path(folder))
            stem = "2026-01-01-cuda-0-a-gpu"
            names = {path.name for path in Path(folder).iterdir()}
            self.assertEqual(names, {f"{stem}.{end}" for end in ("json", "md", "svg")})
            self.assertEqual(len(json.loads((Path(folder) / f"{stem}.json").read_text())["rows"]), 5)


class Processes(unittest.TestCase):
    def test_after_a_failure_there_is_another_process(self):
        child = "import sys\nfor count, line in enumerate(sys.stdin):\n  line = line.strip()\n"
        child += "  if line == 'end': sys.exit()\n"
        child += "  print('error: sticky' if line == 'fail' else f'{line} {count}', flush=True)\n"
        ours = gpu_peers.Ours([sys.executable, "-c", child])
        self.assertEqual([ours.ask("a"), ours.ask("b")], ["a 0", "b 1"])
        with self.assertRaisesRegex(gpu_peers.Failure, "^sticky$"):
            ours.ask("fail")
        self.assertEqual(ours.ask("c"), "c 0")
        with self.assertRaisesRegex(gpu_peers.Failure, "the process ended"):
            ours.ask("end")
        self.assertEqual(ours.ask("d"), "d 0")
        ours.process.kill()
        ours.process.communicate()


def safetensors(tensors):
    names = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int32: "I32", torch.float8_e4m3fn: "F8_E4M3"}
    header, data = {}, b""
    for name, tensor in tensors.items():
        content = tensor.contiguous().view(torch.uint8).numpy().tobytes()
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


class Made:
    """Answers as our process does, of results that are right unless a row is named in `wrong`."""

    def __init__(self, rows, path, wrong=()):
        self.rows, self.path, self.wrong = rows, path, wrong

    def ask(self, line):
        if line == "rows":
            return json.dumps([row(name) for name in self.rows])
        if not line.startswith("save "):
            return "0.001"
        name = line.removeprefix("save ")
        inputs, dtype = self.rows[name]
        out = gpu_peers.reference_of(torch, name, inputs).to(dtype)
        self.path.write_bytes(safetensors({**inputs, "out": out * 1.1 if name in self.wrong else out}))
        return "saved"


@unittest.skipIf(LACKS, LACKS)
class Checks(unittest.TestCase):
    def race(self, rows, wrong=(), peers=None):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "row.safetensors"
        options = argparse.Namespace(torch="cpu", rows="", device="cuda:0")
        peers = peers or gpu_peers.Peers(torch, None, ["eager"])
        made = gpu_peers.Race(torch, options, Made(rows, path, wrong), peers, path)
        for name in rows:
            made.visit(name, 0.0, checks=True)
        return made

    def rows(self):
        def random(*shape, dtype=torch.bfloat16):
            return (torch.rand(shape) * 2 - 1).to(dtype)

        bf16, f32, x = torch.bfloat16, torch.float32, random(6, 32)
        targets = torch.arange(6, dtype=torch.int32)
        angles = {"cosine": random(6, 16, dtype=f32), "sine": random(6, 16, dtype=f32)}
        heads = {name: random(1, 2, 16, 32) for name in "qkv"}
        eighths = {name: random(16, 16, dtype=torch.float8_e4m3fn) for name in "aw"}
        return {
            "copy 6x32": ({"x": x}, bf16),
            "softmax 6x32": ({"x": x}, bf16),
            "layer_norm 6x32": ({"x": x, "gain": random(32), "shift": random(32)}, bf16),
            "rms_norm 6x32": ({"x": x, "gain": random(32)}, bf16),
            "swiglu 6x32": ({"a": x, "b": random(6, 32)}, bf16),
            "rope 6x32": ({"x": x.reshape(6, 2, 16), **angles}, bf16),
            "cross_entropy 6x32": ({"logits": x, "targets": targets}, f32),
            "matmul bf16 16": ({"a": random(16, 16), "b": random(16, 16)}, bf16),
            "matmul tf32 16": ({"a": random(16, 16, dtype=f32), "b": random(16, 16, dtype=f32)}, f32),
            "matmul f8e4m3 16": (eighths, bf16),
            "attention 16 d32": (heads, bf16),
            "attention causal 16 d32": (heads, bf16),
        }

    def test_who_is_right_is_timed_in_every_row(self):
        race = self.race(self.rows())
        for name, times in race.seconds.items():
            counts = {who: len(seen) for who, seen in times.items()}
            self.assertEqual(counts, {"ours": 1, "eager": 1}, race.failed[name])

    def test_who_is_wrong_is_left_out_and_said(self):
        race = self.race(self.rows(), wrong=["softmax 6x32", "matmul bf16 16"])
        for name in ("softmax 6x32", "matmul bf16 16"):
            self.assertEqual(list(race.seconds[name]), ["eager"])
            self.assertIn("the result is wrong", race.failed[name]["ours"])
        self.assertEqual(race.failed["rope 6x32"], {})

    def test_a_result_that_is_no_number_is_wrong(self):
        wanted = torch.ones(4)
        self.assertEqual(gpu_peers.apart(torch, "softmax", torch.full((4,), float("nan")), wanted), float("inf"))
        self.assertEqual(gpu_peers.apart(torch, "softmax", torch.ones(3), wanted), float("inf"))
        self.assertLess(gpu_peers.apart(torch, "softmax", wanted * 1.00001, wanted), 1)

    def test_the_late_lines_of_causal_attention_are_small(self):
        q, k, v = (torch.randn(1, 1, 2048, 64) for _ in range(3))
        attention = torch.nn.functional.scaled_dot_product_attention
        wanted = attention(q, k, v, is_causal=True)
        name, rounded = "attention causal 2048 d64", [x.bfloat16() for x in (q, k, v)]
        exact = attention(*(x.float() for x in rounded), is_causal=True)
        got = attention(*rounded, is_causal=True)
        self.assertLess(gpu_peers.apart(torch, name, got, exact), 1)
        mask = torch.ones(2048, 2048, dtype=torch.bool).tril(-1)
        mask[0, 0] = True
        late = attention(q, k, v, attn_mask=mask).bfloat16()
        self.assertGreater(gpu_peers.apart(torch, name, late, wanted), 1)

    def test_who_writes_nothing_is_wrong(self):
        row = {"softmax 6x32": self.rows()["softmax 6x32"]}
        peers = gpu_peers.Peers(torch, None, ["eager", "lazy"])
        right = peers.ways
        peers.ways = lambda name, inputs, out: {
            "eager": [lambda: out.copy_(right(name, inputs, out)["eager"][0]())],
            "lazy": [lambda: out],
        }
        race = self.race(row, peers=peers)
        self.assertIn("the result is wrong", race.failed["softmax 6x32"]["lazy"])
        self.assertEqual(len(race.seconds["softmax 6x32"]["eager"]), 1)

    def test_a_row_that_faults_leaves_the_others(self):
        rows = {name: self.rows()[name] for name in ("copy 6x32", "softmax 6x32")}
        peers = gpu_peers.Peers(torch, None, ["eager"])
        right = peers.ways

        def ways(name, inputs, out):
            if name.startswith("copy"):
                raise RuntimeError("an illegal address")
            return right(name, inputs, out)

        peers.ways = ways
        race = self.race(rows, peers=peers)
        self.assertIn("an illegal address", race.failed["copy 6x32"]["the row"])
        self.assertEqual(len(race.seconds["softmax 6x32"]["eager"]), 1)

    def test_everyone_is_first_once(self):
        race = self.race({"softmax 6x32": self.rows()["softmax 6x32"]})
        order, ask, timed = [], race.ours.ask, gpu_peers.seconds_of
        race.ours.ask = lambda line: order.append("ours") or ask(line)
        self.addCleanup(setattr, gpu_peers, "seconds_of", timed)
        gpu_peers.seconds_of = lambda *given: order.append("eager") or timed(*given)
        race.round("softmax 6x32", 0.0)
        race.round("softmax 6x32", 0.0)
        self.assertEqual(order[0], order[3])


if __name__ == "__main__":
    unittest.main()
