"""Compares our GPU kernels with PyTorch (eager and compiled; cuBLAS and its attention by way of it).

    python3 gpu_peers.py --binary ./gpu --device cuda:0 --out results [--rounds 7] [--quick]

Each round visits every row: our calls in a child process (src/gpu/main.rs), then each peer's, at least
0.2 s a batch between two waits, after calls that are not timed. Inputs are random and fixed; outputs are
allocated before on our side, and by PyTorch's own cache on its side. Writes <date>-<device>.json and .md.
"""

import argparse
import datetime
import json
import re
import statistics
import subprocess
import time
from pathlib import Path


def calls_of(torch, name, compiled):
    """A call like the row's, or None where there is no such peer."""
    bf16 = torch.bfloat16

    def random(*shape, dtype=bf16):
        return (torch.rand(shape, device="cuda") * 2 - 1).to(dtype)

    functional = torch.nn.functional
    if found := re.fullmatch(r"matmul (\w+) (\d+)", name):
        dtype = {"bf16": bf16, "f16": torch.float16}.get(found[1], torch.float32)
        torch.backends.cuda.matmul.allow_tf32 = found[1] == "tf32"
        n = int(found[2])
        a, b, out = random(n, n, dtype=dtype), random(n, n, dtype=dtype), random(n, n, dtype=dtype)
        return None if compiled else lambda: torch.mm(a, b, out=out)
    if found := re.fullmatch(r"attention (causal )?(\d+) d(\d+)", name):
        s, d = int(found[2]), int(found[3])
        q, k, v = (random(max(16384 // s, 1), 2048 // d, s, d) for _ in range(3))
        causal = bool(found[1])
        return None if compiled else lambda: functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    if not (found := re.fullmatch(r"(\w+) (\d+)x(\d+)", name)):
        return None
    m, n = int(found[2]), int(found[3])
    x, y, gain, shift = random(m, n), random(m, n), random(n), random(n)
    cosine, sine = random(m, n // 2, dtype=torch.float32), random(m, n // 2, dtype=torch.float32)
    targets = (torch.arange(m, device="cuda") * 7919) % n

    def rope():
        a, b = x[:, : n // 2], x[:, n // 2 :]
        return torch.cat([a * cosine - b * sine, b * cosine + a * sine], 1).to(bf16)

    function = {
        "copy": lambda: x.clone(),
        "softmax": lambda: torch.softmax(x, -1),
        "layer_norm": lambda: functional.layer_norm(x, [n], gain, shift, 1e-5),
        "rms_norm": lambda: functional.rms_norm(x, [n], gain, 1e-5),
        "swiglu": lambda: functional.silu(x) * y,
        "rope": rope,
        "cross_entropy": lambda: functional.cross_entropy(x.float(), targets, reduction="none"),
    }.get(found[1])
    # For this shape alone: rows share a line of code, and would be compiled once for all shapes.
    return torch.compile(function, dynamic=False) if function and compiled else function


def seconds_of(torch, call, least):
    def batch(calls):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
        return time.perf_counter() - start

    batch(3)
    once = batch(1)
    calls = max(1, min(100_000, int(least / once) + 1))
    return batch(calls) / calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="./gpu")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", default="results")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    import torch

    command = [options.binary, "--device", options.device, "--serve"] + ["--quick"] * options.quick
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(line):
        print(line, file=child.stdin, flush=True)
        return child.stdout.readline().strip()

    rows, device, times = json.loads(ask("rows")), ask("info"), {}
    for round_ in range(options.rounds):
        for row in rows:
            name = row["name"]
            mine = times.setdefault(name, {"ours": [], "eager": [], "compiled": []})
            mine["ours"].append(float(ask(name)))
            # Peers' tensors live for one batch only: memory is for one row at a time.
            for peer in ("eager", "compiled"):
                if call := calls_of(torch, name, peer == "compiled"):
                    mine[peer].append(seconds_of(torch, call, 0.0 if options.quick else 0.2))
        print(f"round {round_ + 1} of {options.rounds}", flush=True)
    copies = [row["bytes"] / statistics.median(times[row["name"]]["ours"]) for row in rows if row["name"].startswith("copy")]
    lines = [f"# {device}", "", f"{datetime.date.today()}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}.",
             f"Medians of {options.rounds} interleaved rounds; best copy of ours {max(copies) / 1e9:.0f} GB/s.", "",
             "| row | ours µs | GB/s | TFLOP/s | eager µs | compiled µs | best peer / ours |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        medians = {who: statistics.median(of) for who, of in times[row["name"]].items() if of}
        ours, peers = medians["ours"], [value for who, value in medians.items() if who != "ours"]
        cells = [row["name"], f"{ours * 1e6:.2f}", f"{row['bytes'] / ours / 1e9:.0f}", f"{row['flops'] / ours / 1e12:.1f}"]
        cells += [f"{medians[who] * 1e6:.2f}" if who in medians else "" for who in ("eager", "compiled")]
        cells.append(f"{min(peers) / ours:.2f}" if peers else "")
        lines.append("| " + " | ".join(cells) + " |")
    print("\n".join(lines))
    if options.quick:
        return
    stem = f"{datetime.date.today()}-{re.sub('[^a-z0-9]+', '-', device.lower()).strip('-')}"
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{stem}.md").write_text("\n".join(lines) + "\n")
    driver = out / "device.txt"  # nvidia-smi's words, from gpu.sh
    driver = driver.read_text() if driver.exists() else ""
    record = {"device": device, "driver": driver, "torch": torch.__version__, "date": str(datetime.date.today()), "rows": rows, "seconds": times}
    (out / f"{stem}.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
