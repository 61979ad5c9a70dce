"""A contestant in Python: the protocol of ../src/protocol.rs around `open_row` of a peer.

    python3 -m versus.worker torch|compile|onnx THREADS
"""

import importlib
import statistics
import sys
import time

import numpy as np


def fastest(calls):
    """Of the ways that a peer offers for a row, the one that takes the least time here."""
    if len(calls) == 1:
        return calls[0]

    def seconds(call):
        call()
        return min(timed(call) for _ in range(5))

    return min(calls, key=seconds)


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_time(call):
    """As in protocol.rs: one call to warm up, then the median of as many as fit into 20 ms."""
    n_calls = int(min(max(0.02 / timed(call), 1), 200))
    # The upper one of two, as there.
    return statistics.median_high(timed(call) for _ in range(n_calls))


class Worker:
    def __init__(self, peer):
        self.peer, self.call = peer, None

    def answer(self, question, rest):
        if question == "info":
            return self.peer.info()
        if question == "open":
            operation, shape = rest.split()
            calls = self.peer.open_row(operation, *map(int, shape.split("x")))
            self.call = fastest(calls) if calls else None
            return "ok" if calls else "unknown"
        if question == "save":
            result = np.asarray(self.call())
            kind = np.int32 if result.dtype.kind == "i" else np.float32
            result.astype(kind).tofile(rest)
            return "ok"
        if question == "time":
            return str(median_time(self.call))
        self.call = None
        self.peer.close_row()
        return "ok"

    def serve(self, lines, out):
        for line in lines:
            question, _, rest = line.strip().partition(" ")
            try:
                answer = self.answer(question, rest)
            except Exception as error:  # whatever a peer cannot do is its answer for the row
                answer = f"error: {type(error).__name__}: {error}"[:500]
            print(answer.replace("\n", " "), file=out, flush=True)


def main():
    kind, threads = sys.argv[1], int(sys.argv[2])
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    if kind == "onnx":
        peer = importlib.import_module("versus.peer_onnx").Onnx(threads)
    else:
        peer = importlib.import_module("versus.peer_torch").Torch(threads, compiled=kind == "compile")
    with peer.context():
        Worker(peer).serve(sys.stdin, out)


if __name__ == "__main__":
    main()
