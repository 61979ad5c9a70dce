"""Contestants: a process each, asked and answering by the line."""

import os
import subprocess
import sys
import time
from pathlib import Path

from .install import BENCHES

# glibc gives large allocations back to the system at once, and every call of a library that cannot write
# to an output made before would pay for fresh pages. Peers keep them; ours runs with what a user has.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


class Refused(Exception):
    """What a contestant answered instead of a result."""


class Contestant:
    def __init__(self, name, command, threads, environment):
        self.name = name
        limits = {"TILEWRIGHT_THREADS": threads, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        environment = os.environ | {key: str(value) for key, value in limits.items()} | environment
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=BENCHES,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        self.info = self.ask("info")

    def ask(self, question):
        try:
            print(question, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Refused(f"its process ended at {question!r}")
        if answer.startswith("error: "):
            raise Refused(answer.removeprefix("error: "))
        return answer

    def cpu_seconds(self):
        """Used by all its threads so far; its clock has the number that clock_getcpuclockid(3) gives."""
        if sys.platform != "linux" or self.process.poll() is not None:
            return 0.0
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def wait_until_idle(self, patience=0.5):
        """Threads of a pool spin for a while after a call, and would take a core from the next contestant.
        Forbidding that would slow the pool down while it is timed, so it is waited for instead."""
        if sys.platform != "linux":
            time.sleep(0.05)
            return True
        begin, rested = time.monotonic(), 0
        while rested < 2 and time.monotonic() - begin < patience:
            time.sleep(0.001)
            rested = 0 if self.has_runnable_threads() else rested + 1
        return rested == 2

    def has_runnable_threads(self):
        """Whether one runs, or would if it had a processor."""
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                # The letter after the name, which is in parentheses.
                state = (thread / "stat").read_text().rpartition(") ")[2][:1]
            except OSError:
                continue  # it has ended
            if state == "R":
                return True
        return False

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def start_all(serve, rust_peers, threads):
    """Ours first."""
    cache = BENCHES.parent / "target/versus-inductor"
    quiet = KEEP_MEMORY | {"TORCHINDUCTOR_CACHE_DIR": str(cache)}

    def worker(kind):
        return [sys.executable, "-m", "versus.worker", kind, str(threads)]

    commands = [
        ("ours", [serve], {}),
        ("PyTorch", worker("torch"), quiet),
        ("torch.compile", worker("compile"), quiet),
        ("ONNX Runtime", worker("onnx"), quiet),
        ("gemm", [rust_peers, "gemm", str(threads)], quiet),
        ("candle", [rust_peers, "candle", str(threads)], quiet),
    ]
    return [Contestant(name, command, threads, environment) for name, command, environment in commands]
