"""What gpu_peers.py measured, as a table and as a chart."""

from statistics import median

from versus import svg
from versus.report import quartiles, table

PEERS = ["eager", "compiled", "triton"]

LEGEND = """\
- Times are medians over the rounds, in µs. Ratio: the best peer's time / ours, the median of the paired rounds
  (quartiles); above 1 we are faster than all.
- Peers' calls are replayed from a CUDA graph, without what Python and a launch cost the host; ours are launches.
- eager: PyTorch's function, of attention the fastest of its ways (its own choice, FlashAttention, cuDNN);
  compiled: torch.compile of the same; triton: gpu_triton.py, tuned for the shape.
- Every contestant's result on our inputs is compared with PyTorch's in f32 first. Blank: there is no such peer,
  or it failed."""


def entry(record, row):
    """A row's medians and the ratio to the best peer."""
    times = record["seconds"].get(row["name"], {})
    found = {"medians": {who: median(seen) for who, seen in times.items() if seen}}
    ours = found["medians"].get("ours")
    if ours:
        found |= {"gigabytes": row["bytes"] / ours / 1e9, "teraflops": row["flops"] / ours / 1e12}
    peers = {who: value for who, value in found["medians"].items() if who != "ours"}
    if ours and peers:
        best = min(peers, key=peers.get)
        found |= {"best": best, "ratio": quartiles([a / b for a, b in zip(times[best], times["ours"])])}
    return found


def markdown(record):
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    lines = [f"# {record['device']}", "", f"{record['date']}, {record['rounds']} interleaved rounds, {versions}.", ""]
    cells = []
    for row in record["rows"]:
        found = entry(record, row)
        times = [found["medians"].get(who) for who in ["ours", *PEERS]]
        ours, *peers = ["" if time is None else f"{time * 1e6:.2f}" for time in times]
        speeds = [f"{found[speed]:.{digits}f}" if speed in found else "" for speed, digits in SPEEDS]
        ratio = "{median:.2f} ({low:.2f} to {high:.2f})".format(**found["ratio"]) if "ratio" in found else ""
        cells.append([row["name"], ours, *speeds, *peers, ratio, found.get("best", "")])
    header = ["row", "ours µs", "GB/s", "TFLOP/s", *(f"{who} µs" for who in PEERS), "ratio", "best peer"]
    lines += [*table(header, cells), "", LEGEND]
    failed = [f"- {name}: {who}: {why}" for name, all_ in record["failed"].items() for who, why in all_.items()]
    if failed:
        lines += ["", "## What failed", "", *failed]
    return "\n".join(lines) + "\n"


SPEEDS = [("gigabytes", 0), ("teraflops", 1)]


def chart(record):
    """A bar a row, in the best peer's colour."""
    legend = dict(zip(PEERS, svg.COLOURS))
    lines = {}
    for row in record["rows"]:
        found = entry(record, row)
        if "ratio" in found:
            words = f"{found['ratio']['median']:.2f} {found['best']}"
            lines[row["name"]] = [(legend[found["best"]], found["ratio"], words)]
    return svg.ratios(f"{record['device']}, {record['date']}", legend, lines)


def merged(old, new):
    """The old record's rows that were not measured again, and the new ones, in the old order."""
    again = {row["name"]: row for row in new["rows"]}
    rows = [again.pop(row["name"], row) for row in old["rows"]] + list(again.values())
    measured = {row["name"] for row in new["rows"]}
    both = {**new, "rows": rows}
    for part in ("seconds", "apart", "failed"):
        kept = {name: value for name, value in old[part].items() if name not in measured}
        both[part] = kept | new[part]
    return both
