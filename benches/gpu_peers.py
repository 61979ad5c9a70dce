"""Compares our GPU kernels with PyTorch's (eager and compiled; cuBLAS and cuDNN by way of it) and Triton's.

    python3 gpu_peers.py --binary ./gpu --device cuda:0 --out results [--rounds 7] [--quick]
                         [--rows REGEX] [--peers eager,compiled,triton] [--seconds N] [--torch cpu]

In the first round every contestant's result, ours included, is compared with PyTorch's in f32 on the inputs that our
child process (src/gpu/main.rs) hands over; whoever is wrong is left out, and said. Each round visits every row:
everyone's calls in turn, at least 0.2 s a batch between two waits, after calls that are not timed. Writes
<date>-<device>.json, .md and .svg after each row; rows of an earlier run on that day stay unless measured again.
--seconds N begins no row after N seconds.

--torch cpu tries the whole of it over an emulated device, with TRITON_INTERPRET=1: its figures mean nothing, and
Triton's interpreter gives wrong products of bf16.
"""

import argparse
import datetime
import json
import math
import mmap
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gpu_report

# Calls of a CUDA graph.
CALLS = 20
# Seconds until an answer: making a row's tensors and compiling its kernel take a few.
PATIENCE = 90


class Failure(Exception):
    """A row that our process cannot do."""


class Ours:
    """The process with our kernels. After a failure it is another one: a GPU's faults stay with a process."""

    def __init__(self, command):
        self.command = command
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        try:
            print(line, file=self.process.stdin, flush=True)
            # A GPU that hangs must not take the other rows with it. Only answers come, so no line is read too early.
            there, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            answer = self.process.stdout.readline().strip() if there else f"error: no answer in {PATIENCE} s"
        except BrokenPipeError:
            answer = ""
        if answer and not answer.startswith("error: "):
            return answer
        self.process.kill()
        self.process.communicate()
        self.start()
        raise Failure(answer.removeprefix("error: ") or "the process ended")


def tensors_of(torch, path, where):
    """A safetensors file's, by their names."""
    dtypes = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I32": torch.int32}
    dtypes["F8_E4M3"] = torch.float8_e4m3fn
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as data:
        start = 8 + int.from_bytes(data[:8], "little")
        tensors = {}
        for name, about in json.loads(data[8:start]).items():
            dtype, (low, _) = dtypes[about["dtype"]], about["data_offsets"]
            count = math.prod(about["shape"])
            flat = torch.frombuffer(data, dtype=dtype, count=count, offset=start + low)
            tensors[name] = flat.reshape(about["shape"]).to(where, copy=True)
            del flat  # the file cannot be closed while something names its memory
        return tensors


def random_like(torch, tensors):
    """As src/gpu/rows.rs makes them."""
    made = {}
    for name, (shape, dtype, where) in tensors.items():
        if name == "targets":
            classes = tensors["logits"][0][1]
            made[name] = ((torch.arange(shape[0], device=where) * 7919) % classes).to(dtype)
        else:
            made[name] = (torch.rand(shape, device=where) * 2 - 1).to(dtype)
    return made


def functions_of(torch):
    """PyTorch's functions by the first word of a row's name, for inputs by the names that src/gpu/rows.rs gives."""
    functional = torch.nn.functional

    def rope(x, cosine, sine):
        a, b = x[:, 0], x[:, 1]
        return torch.stack([a * cosine - b * sine, b * cosine + a * sine], 1).to(x.dtype)

    return {
        "copy": lambda x: x.clone(),
        "softmax": lambda x: torch.softmax(x, -1),
        "layer_norm": lambda x, gain, shift: functional.layer_norm(x, gain.shape, gain, shift, 1e-5),
        "rms_norm": lambda x, gain: functional.rms_norm(x, gain.shape, gain, 1e-5),
        "swiglu": lambda a, b: functional.silu(a) * b,
        "rope": rope,
        "cross_entropy": lambda logits, targets: functional.cross_entropy(logits.float(), targets, reduction="none"),
    }


def for_torch(inputs):
    """PyTorch takes classes as 64 bits."""
    return {name: x.long() if name == "targets" else x for name, x in inputs.items()}


def reference_of(torch, name, inputs):
    """What the row computes, in f32."""
    torch.set_float32_matmul_precision("highest")
    exact = {key: x.float() if x.is_floating_point() else x for key, x in for_torch(inputs).items()}
    kind = name.split()[0]
    if kind == "matmul":
        return exact["a"] @ (exact["b"] if "b" in exact else exact["w"].t())
    if kind == "attention":
        return torch.nn.functional.scaled_dot_product_attention(**qkv(exact), is_causal="causal" in name)
    return functions_of(torch)[kind](**exact)


def qkv(inputs):
    return {"query": inputs["q"], "key": inputs["k"], "value": inputs["v"]}


class Peers:
    """Who computes a row, each in one or more ways: functions without arguments that give the result."""

    def __init__(self, torch, triton, chosen):
        self.torch, self.triton, self.chosen = torch, triton, chosen
        self.functions = functions_of(torch)
        # For each shape alone, whatever came before.
        self.compiled = {kind: torch.compile(of, dynamic=False) for kind, of in self.functions.items()}

    def ways(self, name, inputs, out):
        kind = name.split()[0]
        # Global, and read by each call: rows are done one after the other.
        self.torch.set_float32_matmul_precision("high" if "tf32" in name else "highest")
        ways = {}
        if kind == "matmul":
            ways["eager"] = [self.product(inputs, out)]
        elif kind == "attention":
            ways["eager"] = self.attentions(inputs, "causal" in name)
        elif kind in self.functions:
            given = for_torch(inputs)
            ways["eager"] = [lambda: self.functions[kind](**given)]
            ways["compiled"] = [lambda: self.compiled[kind](**given)]
        if self.triton and (call := self.triton_call(name, inputs, out)):

            def written():
                call()
                return out

            ways["triton"] = [written]
        return {who: these for who, these in ways.items() if who in self.chosen}

    def product(self, inputs, out):
        torch, a = self.torch, inputs["a"]
        if "b" in inputs:
            return lambda: torch.mm(a, inputs["b"], out=out)
        one, turned = torch.ones((), device=a.device), inputs["w"].t()
        # As ours and Triton's: sums stay in the tensor cores.
        return lambda: torch._scaled_mm(a, turned, one, one, out_dtype=out.dtype, use_fast_accum=True)

    def attentions(self, inputs, causal):
        from torch.nn.attention import SDPBackend, sdpa_kernel

        given = {**qkv(inputs), "is_causal": causal}
        plain = lambda: self.torch.nn.functional.scaled_dot_product_attention(**given)

        def by(backend):
            with sdpa_kernel(backend):
                return plain()

        return [plain, *(lambda b=b: by(b) for b in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION))]

    def triton_call(self, name, inputs, out):
        torch, triton, (kind, *words) = self.torch, self.triton, name.split()
        # From Hopper on the copy engine fetches.
        engine = out.is_cuda and not torch.version.hip and torch.cuda.get_device_capability()[0] >= 9
        if kind == "matmul":
            a, b = inputs["a"], inputs["b"] if "b" in inputs else inputs["w"].t()
            if engine and a.element_size() < 4:
                return lambda: triton.matmul_by_engine(a, b, out)
            return lambda: triton.matmul(a, b, out, tf32="tf32" in words)
        if kind == "attention":
            whole = inputs["q"].shape[2] % triton.largest(triton.ATTENTION_BY_ENGINE) == 0
            attention = triton.attention_by_engine if engine and whole else triton.attention
            return lambda: attention(**inputs, out=out, causal="causal" in words)
        function = getattr(triton, kind, None)
        return function and (lambda: function(**inputs, out=out))


def tolerances(torch, name, dtype):
    """Relative to an element, and to the root of the mean square of all (attention: of its line)."""
    if "tf32" in name:
        return 1e-2, 1e-2
    if "f8e4m3" in name:  # the tensor cores keep some 14 bits of a sum
        return 2**-6, 5e-2
    return {torch.bfloat16: (2**-7, 2e-2), torch.float16: (2**-9, 4e-3)}.get(dtype, (1e-4, 1e-4))


def apart(torch, name, got, wanted):
    """The largest difference, as a share of what is tolerated."""
    if got.shape != wanted.shape:
        return math.inf
    relative, absolute = tolerances(torch, name, got.dtype)
    wanted = wanted.float()
    # Of the same line: causal attention's lines become smaller and smaller.
    rows = wanted.reshape(-1, wanted.shape[-1]) if name.startswith("attention") else wanted.reshape(1, -1)
    mean = rows.square().mean(-1, keepdim=True).sqrt().expand_as(rows).reshape(wanted.shape)
    allowed = relative * wanted.abs() + absolute * mean
    share = ((got.float() - wanted).abs() / allowed).max().item()
    return share if share == share else math.inf


def wait(torch, where):
    if where != "cpu":
        torch.cuda.synchronize()


def seconds_of(torch, where, call, least):
    def batch(turns, run):
        wait(torch, where)
        start = time.perf_counter()
        for _ in range(turns):
            run()
        wait(torch, where)
        return time.perf_counter() - start

    batch(3, call)
    if where == "cpu":
        return batch(1, call)
    # What Python costs is not the kernel's; where a call cannot be captured it is.
    run, calls, graph = call, 1, torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            for _ in range(CALLS):
                call()
        run, calls = graph.replay, CALLS
    except Exception as error:
        print(f"timed without a graph: {first_line(error)}")
    batch(1, run)
    once = batch(1, run)
    turns = max(1, min(100_000, int(least / once) + 1))
    return batch(turns, run) / turns / calls


def first_line(error):
    return f"{type(error).__name__}: {error}".splitlines()[0]


def blank(tensor):
    """What somebody else left there is nobody's result."""
    tensor.fill_(math.nan if tensor.is_floating_point() else -77)


class Race:
    """Rows, who is still in, and what was measured."""

    def __init__(self, torch, options, ours, peers, tensors):
        self.torch, self.options, self.ours, self.peers, self.tensors = torch, options, ours, peers, tensors
        self.where = options.torch or options.device.replace("rocm", "cuda")
        rows = json.loads(ours.ask("rows"))
        self.rows = [row for row in rows if re.search(options.rows, row["name"])]
        names = [row["name"] for row in self.rows]
        self.seconds, self.apart, self.failed = ({name: {} for name in names} for _ in range(3))
        # Shapes of inputs and result, and which of its ways each peer takes.
        self.specs, self.taken = {}, {name: {} for name in names}

    def out(self, name, who, why):
        print(f"{name}: {who} is left out: {why}", flush=True)
        self.failed[name][who] = why
        self.seconds[name].pop(who, None)
        self.taken[name].pop(who, None)

    def check(self, name):
        """Compares all results of a row, and lets those in who are right."""
        torch = self.torch
        if name.startswith("launch"):
            self.seconds[name]["ours"] = []
            return
        try:
            self.ours.ask(f"save {name}")
        except Failure as failure:
            self.out(name, "ours", str(failure))
            return
        inputs = tensors_of(torch, self.tensors, self.where)
        result = inputs.pop("out")
        self.specs[name] = {key: (x.shape, x.dtype, x.device) for key, x in {**inputs, "out": result}.items()}
        wanted = reference_of(torch, name, inputs)
        if self.right(name, "ours", result, wanted):
            self.seconds[name]["ours"] = []
        scratch = torch.empty_like(result)
        for who, ways in self.peers.ways(name, inputs, scratch).items():
            speeds = {}
            for at, way in enumerate(ways):
                try:
                    blank(scratch)
                    if self.right(name, who, way(), wanted):
                        speeds[at] = seconds_of(torch, self.where, way, 0.0)
                except Exception as error:  # peers raise what they like
                    self.failed[name][who] = first_line(error)
            if speeds:
                self.failed[name].pop(who, None)
                self.seconds[name][who], self.taken[name][who] = [], min(speeds, key=speeds.get)
            else:
                self.out(name, who, self.failed[name][who])

    def right(self, name, who, got, wanted):
        share = apart(self.torch, name, got, wanted)
        self.apart[name][who] = round(share, 4) if math.isfinite(share) else None
        if share <= 1:
            return True
        self.failed[name][who] = f"the result is wrong, {share:.3g} times what is tolerated"
        if who == "ours":
            self.out(name, who, self.failed[name][who])
        return False

    def round(self, name, least):
        """Times a row once for everyone who is in, another first each time: later ones find a hotter chip."""
        times = self.seconds[name]
        calls = {"ours": lambda: float(self.ours.ask(name))} if "ours" in times else {}
        if self.taken[name]:
            # Peers' tensors live for one batch only: memory is for one row at a time.
            inputs = random_like(self.torch, self.specs[name])
            out = inputs.pop("out")
            for who, ways in self.peers.ways(name, inputs, out).items():
                if who in self.taken[name]:
                    call = ways[self.taken[name][who]]
                    calls[who] = lambda call=call: seconds_of(self.torch, self.where, call, least)
        order, first = list(calls), max(map(len, times.values()), default=0)
        for at in range(len(order)):
            who = order[(first + at) % len(order)]
            try:
                times[who].append(calls[who]())
            except Exception as error:  # peers raise what they like
                self.out(name, who, first_line(error))

    def visit(self, name, least, checks):
        """A turn of a row; whatever goes wrong there stays there."""
        try:
            if checks:
                self.check(name)
            self.round(name, least)
        except Exception as error:  # a fault of the GPU meets whoever comes next
            self.out(name, "the row", first_line(error))


def triton_peers(options):
    if "triton" not in options.peers.split(","):
        return None
    try:
        import gpu_triton
    except ImportError as error:
        print(f"no Triton here ({error}): its column stays empty")
        return None
    if options.torch == "cpu":  # where nothing can be tuned
        for kernel in gpu_triton.tuned_kernels():
            kernel.configs = kernel.configs[:1]
    return gpu_triton


def write(record, out):
    """Beside what was measured on that day."""
    stem = f"{record['date']}-{re.sub('[^a-z0-9]+', '-', record['device'].lower()).strip('-')}"
    out.mkdir(parents=True, exist_ok=True)
    if (file := out / f"{stem}.json").exists():
        record = gpu_report.merged(json.loads(file.read_text()), record)
    file.write_text(json.dumps(record, indent=1))
    (out / f"{stem}.md").write_text(gpu_report.markdown(record))
    (out / f"{stem}.svg").write_text(gpu_report.chart(record))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="./gpu")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", default="results")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=math.inf, help="after these no row begins")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", default="")
    parser.add_argument("--peers", default=",".join(gpu_report.PEERS))
    parser.add_argument("--torch")
    options = parser.parse_args()
    import torch

    if options.torch != "cpu":
        torch.cuda.set_device(options.device.replace("rocm", "cuda"))
    triton = triton_peers(options)
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        tensors = Path(folder) / "row.safetensors"
        command = [options.binary, "--device", options.device, "--serve", "--tensors", str(tensors)]
        ours = Ours(command + ["--quick"] * options.quick)
        race = Race(torch, options, ours, Peers(torch, triton, options.peers.split(",")), tensors)
        device = ours.ask("info")
        started = time.monotonic()
        driver = Path(options.out) / "device.txt"  # nvidia-smi's words, from gpu.sh
        versions = {"PyTorch": torch.__version__, "CUDA": torch.version.cuda}
        if triton:
            versions["Triton"] = triton.triton.__version__
        record = {
            "device": device,
            "driver": driver.read_text() if driver.exists() else "",
            "versions": versions,
            "date": str(datetime.date.today()),
            "rounds": options.rounds,
            "rows": [],
            "seconds": race.seconds,
            "apart": race.apart,
            "failed": race.failed,
        }
        for round_ in range(options.rounds):
            for row in race.rows:
                if time.monotonic() - started > options.seconds:
                    print(f"{options.seconds:.0f} s are over: the rest stays for another run")
                    break
                race.visit(row["name"], 0.0 if options.quick else 0.2, checks=round_ == 0)
                print(f"{time.monotonic() - started:.0f} s: {row['name']}, {round_ + 1} of {options.rounds}", flush=True)
                if round_ == 0:
                    record["rows"].append(row)
                if not options.quick:
                    write(record, Path(options.out))
    print(gpu_report.markdown(record))
    return any("ours" in failed for failed in race.failed.values())


def scratch():
    """Memory, where there is enough for a row's tensors; else where temporary files go."""
    shared = Path("/dev/shm")
    return shared if shared.exists() and shutil.disk_usage(shared).free > 8 << 30 else None


if __name__ == "__main__":
    sys.exit(main())
