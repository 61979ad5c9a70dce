"""Times our CPU kernels beside PyTorch, torch.compile, ONNX Runtime, gemm and candle, in one run.

    python3 benches/versus.py --json out.json [--svg out.svg] [--markdown out.md]
        [--rows REGEX] [--threads 1,2] [--rounds 15] [--quick]

It needs Python with pip, a Rust toolchain and, for torch.compile, a C++ compiler; the first run installs
the peers to target/versus-venv. MiniLM's rows need its weights: bash examples/minilm/fetch.sh.

A row is opened by everyone and every result is compared with ours. Then each round lets everyone in turn
make as many calls as fit into 20 ms (one at least, 200 at most) and takes the median: a clock that drifts or
a neighbour on the machine hits all alike. Everyone is a process of its own for each number of threads. Pools
may spin between calls as they do by default, which is how they are fast; before the next one's turn, the
driver waits until the process uses no processor. The floors are measured in the same rounds.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from versus import install, report, svg
from versus.rows import chosen

HERE = Path(__file__).parent


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="all figures")
    parser.add_argument("--svg", type=Path, help="the ratios as bars")
    parser.add_argument("--markdown", type=Path, help="the table that is also printed")
    parser.add_argument("--rows", default="", metavar="REGEX", help="rows whose name it finds")
    parser.add_argument("--threads", default=f"1,{os.cpu_count()}", help="as 1,2")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="small shapes only, 3 rounds")
    return parser.parse_args()


def main():
    wanted = options()
    install.enter()
    document = measure(wanted)
    print(report.markdown(document))
    for path, text in (
        (wanted.json, json.dumps(document, indent=1) + "\n"),
        (wanted.svg, svg.chart(document)),
        (wanted.markdown, report.markdown(document)),
    ):
        if path:
            path.write_text(text)


def measure(wanted):
    from versus import contestant, race  # they need numpy, which the environment has

    rounds = 3 if wanted.quick else wanted.rounds
    rows = chosen(wanted.rows, wanted.quick)
    load = round(os.getloadavg()[0], 1)
    binaries = install.rust_binaries()
    document = description() | {"rounds": rounds, "load": load, "floors": {}, "rows": []}
    document["floor_bytes"] = beyond_the_caches()
    for threads in dict.fromkeys(map(int, wanted.threads.split(","))):
        contestants = contestant.start_all(*binaries, threads)
        document["versions"] = {one.name: one.info for one in contestants}
        document["versions"]["gemm"] = f"gemm {install.locked('gemm')}"
        document["versions"]["candle"] = f"candle-core {install.locked('candle-core')}"
        document["floors"][threads] = floors(contestants[0], threads, document["floor_bytes"])
        records = race.run(rows, contestants, threads, rounds, say=partial(print, file=sys.stderr))
        document["rows"] += [report.summary(record, row) for row, record in records]
        for one in contestants:
            one.close()
    document["means"] = report.geometric_means(document["rows"])
    return document


def floors(ours, threads, size):
    """The best of five: nothing can be faster."""
    rates = {}
    for rate in ("fma", "int8"):
        rates[rate] = max(float(ours.ask(f"floor {rate} {threads}")) for _ in range(5))
    for rate in ("read", "write", "copy", "triad"):
        rates[rate] = max(float(ours.ask(f"floor {rate} {threads} {size}")) for _ in range(5))
    return {rate: report.digits(value) for rate, value in rates.items()}


def beyond_the_caches():
    """Bytes: twice the last cache, within a quarter of the memory."""
    try:
        last = Path("/sys/devices/system/cpu/cpu0/cache/index3/size").read_text()
        cache = int(last.strip().removesuffix("K")) << 10
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 1 << 30
    return min(max(2 * cache, 1 << 28), memory // 4)


def description():
    git = ["git", "-C", HERE, "describe", "--always", "--dirty", "--exclude=*"]
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "commit": subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown",
    }


def cpu_model():
    try:
        text = Path("/proc/cpuinfo").read_text()
        return re.search(r"model name\s*:\s*(.+)", text).group(1).strip()
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
