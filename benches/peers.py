"""Compares our kernels with PyTorch eager, in turn in one run.

    cargo build --release --manifest-path benches/Cargo.toml
    .venv/bin/python benches/peers.py [--threads 1 2] [--rounds 60] [--only softmax …]

Each round visits every row: our calls in a child process (benches/src/main.rs), then PyTorch's, 20 ms
each after one call that is not timed. A clock that drifts or a neighbour on the machine hits both
alike. Outputs are allocated before, on both sides. A ratio is PyTorch's time divided by
ours, the median over rounds (above 1: we are faster). The matmul rows also say which share of the
fused-multiply-add peak they reach, the peak being measured in the same round.

Writes results/<date>-<cpu>.json and .md.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def torch_rows(torch):
    """The same rows as in src/main.rs: name -> call."""
    aten, rows = torch.ops.aten, {}

    def random(*shape):
        return torch.rand(shape) * 4 - 2

    def add_row(name, call):
        rows[name] = call

    for n in (256, 512, 1024, 2048):
        a, b, bias, out, hidden = random(n, n), random(n, n), random(n), random(n, n), random(n, n)
        add_row(f"matmul {n}", lambda a=a, b=b, out=out: torch.mm(a, b, out=out))

        def linear_gelu(x=a, w=b.t(), bias=bias, hidden=hidden, out=out):
            torch.addmm(bias, x, w, out=hidden)
            aten.gelu.out(hidden, approximate="none", out=out)

        add_row(f"linear_gelu {n}", linear_gelu)
    for m, n in ((4096, 1024), (4096, 4096)):
        x, y, out, gain, shift = random(m, n), random(m, n), random(m, n), random(n), random(n)
        mean, rstd = random(m, 1), random(m, 1)
        add_row(f"softmax {m}x{n}", lambda x=x, out=out: aten._softmax.out(x, -1, False, out=out))
        add_row(
            f"layer_norm {m}x{n}",
            lambda x=x, out=out, n=n, gain=gain, shift=shift, mean=mean, rstd=rstd: aten.native_layer_norm.out(
                x, [n], gain, shift, 1e-5, out0=out, out1=mean, out2=rstd
            ),
        )
        add_row(f"gelu {m}x{n}", lambda x=x, out=out: aten.gelu.out(x, approximate="none", out=out))
        add_row(f"gelu_tanh {m}x{n}", lambda x=x, out=out: aten.gelu.out(x, approximate="tanh", out=out))
        add_row(f"add {m}x{n}", lambda x=x, y=y, out=out: torch.add(x, y, out=out))
    for h, s, d in ((12, 512, 64), (8, 2048, 64)):
        q, k, v = random(1, h, s, d), random(1, h, s, d), random(1, h, s, d)
        add_row(
            f"attention {h}x{s}x{d}",
            # No variant with out=; the allocator's cache is warm.
            lambda q=q, k=k, v=v: torch.nn.functional.scaled_dot_product_attention(q, k, v),
        )
    return rows | model_rows(torch)


def model_rows(torch):
    """all-MiniLM-L6-v2 from token ids to normalised embeddings, as sentence-transformers runs it."""
    folder = HERE.parent / "examples/minilm/model"
    try:
        from transformers import AutoModel
    except ImportError:
        return {}
    if not folder.exists():
        return {}
    model = AutoModel.from_pretrained(folder).eval()

    def embed(ids, mask):
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(pooled, dim=1)

    rows = {}
    for sentences, width in ((1, 12), (32, 31), (32, 128)):
        ids = torch.randint(1000, 29000, (sentences, width))
        mask = torch.ones_like(ids)
        rows[f"minilm {sentences}x{width}"] = lambda ids=ids, mask=mask: embed(ids, mask)
    return rows


class Child:
    """Our kernels in a process of their own, one line a call."""

    def __init__(self, threads):
        binary = HERE / "target/release/serve"
        if not binary.exists():
            sys.exit(f"{binary} is missing: cargo build --release --manifest-path benches/Cargo.toml")
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(
            [binary], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, line):
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().strip()
        if not answer or answer == "unknown":
            sys.exit(f"the child does not answer {line!r}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(call):
    """As in src/main.rs: one call to warm up, then the median of as many as fit into 20 ms."""

    def once():
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    n_calls = int(min(max(0.02 / once(), 1), 15))
    return sorted(once() for _ in range(n_calls))[n_calls // 2]


def measure(torch, threads, rounds, only):
    torch.set_num_threads(threads)
    child = Child(threads)
    isa = child.ask("info")
    rows = {n: c for n, c in torch_rows(torch).items() if not only or any(o in n for o in only)}
    ours, theirs, peaks = ({name: [] for name in rows} for _ in range(3))
    with torch.inference_mode():
        for warm_up in [True] * 2 + [False] * rounds:
            for name, call in rows.items():
                peak = float(child.ask("peak")) if name.startswith(("matmul", "linear")) else None
                our, their = float(child.ask(name)), timed(call)
                time.sleep(0.002)  # the peer's threads stop spinning
                if not warm_up:
                    ours[name].append(our)
                    theirs[name].append(their)
                    peaks[name].append(peak)
    child.close()
    return isa, [summary(name, threads, ours[name], theirs[name], peaks[name]) for name in rows]


def summary(name, threads, ours, theirs, peaks):
    ratios = sorted(t / o for o, t in zip(ours, theirs))
    row = {
        "row": name,
        "threads": threads,
        "rounds": len(ours),
        "ours_us": round(1e6 * statistics.median(ours), 1),
        "torch_us": round(1e6 * statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(ratios[len(ratios) // 4], 3), round(ratios[3 * len(ratios) // 4], 3)],
    }
    if peaks and peaks[0] is not None:
        flops = 2 * int(name.split()[1]) ** 3 / 1e9
        row["peak_gflops_one_thread"] = round(statistics.median(peaks), 1)
        row["share_of_peak"] = round(
            statistics.median(flops / o / (p * threads) for o, p in zip(ours, peaks)), 3
        )
    return row


def cpu_model():
    try:
        text = Path("/proc/cpuinfo").read_text()
        return re.search(r"model name\s*:\s*(.+)", text).group(1).strip()
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()


def markdown(report):
    lines = [
        f"# Kernels against PyTorch eager, {report['date']}",
        "",
        f"{report['cpu']}, {report['cores']} cores, {report['isa']}; PyTorch {report['torch']}, f32.",
        f"Load average when it began: {report['load']} (0 is a quiet machine; others' work slows both sides).",
        "Ratio: PyTorch's time / ours, median of the paired rounds (quartiles); above 1 we are faster.",
        "Outputs preallocated on both sides. Written by benches/peers.py.",
        "",
        "| row | threads | ours µs | PyTorch µs | ratio | share of FMA peak |",
        "|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        low, high = row["ratio_quartiles"]
        share = f"{100 * row['share_of_peak']:.0f} %" if "share_of_peak" in row else ""
        lines.append(
            f"| {row['row']} | {row['threads']} | {row['ours_us']:.0f} | {row['torch_us']:.0f} "
            f"| {row['ratio']:.2f} ({low:.2f} to {high:.2f}) | {share} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count()])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", nargs="+", help="rows whose name contains one of these")
    parser.add_argument("--dry", action="store_true", help="print, write no files")
    options = parser.parse_args()
    import torch

    report = {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "rows": [],
    }
    for threads in options.threads:
        report["isa"], rows = measure(torch, threads, options.rounds, options.only)
        report["rows"] += rows
    print(markdown(report))
    if not options.dry:
        slug = re.sub(r"[^a-z0-9]+", "-", report["cpu"].lower()).strip("-")
        path = HERE / "results" / f"{report['date']}-{slug}"
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
        path.with_suffix(".md").write_text(markdown(report))


if __name__ == "__main__":
    main()
