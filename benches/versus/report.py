"""From times to medians, ratios and shares, and those as JSON and as a table."""

from math import exp, log
from statistics import median

CONTESTANTS = ["PyTorch", "torch.compile", "ONNX Runtime", "gemm", "candle"]

LEGEND = """\
- Times are medians over the rounds, in µs. `-`: the peer has no such operation or gave another result.
- `~`: other programs took more than 5 % of the processors while the row was measured.
- Ratio: the best peer's time / ours, the median of the paired rounds (quartiles); above 1 we are faster than all.
- Floor: the shortest time this machine allows / ours, and what sets it. `fma` and `int8` are multiply-adds of
  vectors in registers, without loads (a peer may use a matrix unit, which goes beyond them); `read`, `write`, `copy`
  and `triad` are plain loops through arrays as large as the row's.
- Inputs and outputs are allocated before. candle, torch.compile's library calls, PyTorch's attention (eager: also
  layer norm, RMS norm and cross entropy where that form is the faster one) and every MiniLM but ONNX Runtime's
  return new tensors; peers' processes keep freed memory, so they find it warm.
- Weights of products are constants, which ours (`Tensor::keep_packed`), ONNX Runtime and torch.compile (`freezing`, for
  f32) may lay out once, before they are timed.
- Where a peer offers several ways for a row, the fastest one is taken. No peer multiplies f32 by half-precision
  weights: each converts the activations or the weights; ONNX Runtime the latter once, when the session opens.
- `minilm_text` begins with sentences, 1 or 32 of them: everyone calls the same tokenizer. Peers embed them in one padded
  batch or in the batches that ours makes, whichever is faster.
- A matmul is m x n x k. Weights of `matmul` are [k, n], of all other products [n, k]."""


def summary(record, row):
    """A record of race.py with its figures, times in µs."""
    times = record["times"]
    entry = {key: record[key] for key in ("row", "group", "threads", "failed")}
    entry["times"] = {who: quartiles([1e6 * t for t in seen]) for who, seen in times.items()}
    if "ours" not in times:
        return entry
    entry["others"] = round(record["others"], 3)
    ours = median(times["ours"])
    peers = {who: median(seen) for who, seen in times.items() if who != "ours"}
    if peers:
        best = min(peers, key=peers.get)
        ratios = [theirs / our for theirs, our in zip(times[best], times["ours"])]
        entry |= {"best": best, "ratio": quartiles(ratios)}
    floor, bound = row.floor(record["rates"])
    entry |= {"rates": {rate: digits(value) for rate, value in record["rates"].items()}, "bound": bound}
    if floor:
        entry |= {"floor_us": digits(1e6 * floor), "share": digits(floor / ours)}
        done = row.flops if bound in ("fma", "int8") else row.read + row.write
        entry["reached"] = digits(done / ours / 1e9)
    return entry


def quartiles(values):
    ordered = sorted(values)
    last = len(ordered) - 1
    middle = median(ordered)
    low, high = ordered[last // 4], ordered[-1 - last // 4]
    return {"median": digits(middle), "low": digits(low), "high": digits(high), "rounds": len(ordered)}


def digits(value):
    return float(f"{value:.4g}")


def geometric_means(entries):
    """For each group and number of threads, and for all rows of that number."""
    ratios = {}
    for entry in entries:
        if "ratio" in entry:
            for group in (entry["group"], "all"):
                ratios.setdefault((group, entry["threads"]), []).append(entry["ratio"]["median"])
    return [
        {
            "group": group,
            "threads": threads,
            "rows": len(seen),
            "ratio": digits(exp(sum(map(log, seen)) / len(seen))),
            "least": min(seen),
        }
        for (group, threads), seen in ratios.items()
    ]


def markdown(report):
    lines = [f"# Kernels against their peers, {report['date']}", "", about(report), ""]
    lines += [f"- {who}: {what}" for who, what in report["versions"].items()]
    lines += ["", floors_table(report), "", LEGEND]
    for threads in sorted({entry["threads"] for entry in report["rows"]}):
        lines += ["", f"## {threads} thread{'s' if threads > 1 else ''}", ""]
        lines += rows_table([entry for entry in report["rows"] if entry["threads"] == threads])
    lines += ["", "## Geometric means of the ratios", ""]
    lines += table(
        ["group", "threads", "rows", "ratio", "least"],
        [
            [m["group"], m["threads"], m["rows"], f"{m['ratio']:.2f}", f"{m['least']:.2f}"]
            for m in report["means"]
        ],
    )
    failed = [
        f"- {entry['row']}, {entry['threads']}: {who}: {why}"
        for entry in report["rows"]
        for who, why in entry["failed"].items()
    ]
    if failed:
        lines += ["", "## What failed", "", *failed]
    return "\n".join(lines) + "\n"


def about(report):
    return (
        f"{report['cpu']}, {report['cores']} cores; commit {report['commit']}; {report['rounds']} rounds; "
        f"load average {report['load']} when it began (0 is a quiet machine). Written by benches/versus.py."
    )


def floors_table(report):
    """What memory and cores give at most, on arrays far beyond the caches."""
    rates = ["fma", "int8", "read", "write", "copy", "triad"]
    size = f"{report['floor_bytes'] / 2**20:.0f} MiB"
    header = ["threads", "fma GFLOP/s", "int8 GOP/s", *(f"{rate} {size} GB/s" for rate in rates[2:])]
    rows = [[t, *(f"{floors[rate]:.1f}" for rate in rates)] for t, floors in report["floors"].items()]
    return "\n".join(table(header, rows))


def rows_table(entries):
    seen = [who for who in CONTESTANTS if any(who in entry["times"] for entry in entries)]
    return table(
        ["row", "ours", *seen, "ratio", "best peer", "floor"],
        [
            [
                entry["row"] + (" ~" if disturbed(entry) else ""),
                microseconds(entry, "ours"),
                *(microseconds(entry, who) for who in seen),
                ratio(entry),
                entry.get("best", "-"),
                share(entry),
            ]
            for entry in entries
        ],
    )


def disturbed(entry):
    return entry.get("others", 0) > 0.05


def microseconds(entry, who):
    if who not in entry["times"]:
        return "-"
    value = entry["times"][who]["median"]
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(entry):
    if "ratio" not in entry:
        return "-"
    return "{median:.2f} ({low:.2f} to {high:.2f})".format(**entry["ratio"])


def share(entry):
    if "share" not in entry:
        return "-"
    unit = {"fma": "GFLOP/s", "int8": "GOP/s"}.get(entry["bound"], "GB/s")
    return f"{100 * entry['share']:.0f} % of {entry['bound']} ({entry['reached']:.3g} {unit})"


def table(header, rows):
    return ["| " + " | ".join(map(str, cells)) + " |" for cells in (header, ["---"] * len(header), *rows)]
