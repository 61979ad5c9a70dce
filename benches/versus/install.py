"""A Python environment of the comparison's own, and the Rust programs."""

import os
import re
import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).parents[1]
PACKAGES = ["torch", "numpy", "onnxruntime", "onnx", "tokenizers"]


def environment():
    """Its interpreter; made and filled at the first use, under target/."""
    folder = BENCHES.parent / "target/versus-venv"
    python, stamp = folder / "bin/python", folder / "installed"
    if not stamp.exists() or stamp.read_text().split() != PACKAGES:
        print(f"installing {', '.join(PACKAGES)} to {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        stamp.write_text(" ".join(PACKAGES))
    return python


def enter():
    """Goes on in that interpreter."""
    python = environment()
    if Path(sys.prefix).resolve() != python.parents[1].resolve():
        os.execv(python, [python, *sys.argv])


def rust_binaries():
    """`serve` and `rust-peers`, built."""
    for folder, more in ((BENCHES, ["--bin", "serve"]), (BENCHES / "peers", [])):
        manifest = folder / "Cargo.toml"
        cargo = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest, *more]
        subprocess.run(cargo, check=True)
    shared = os.environ.get("CARGO_TARGET_DIR")
    targets = [Path(shared)] * 2 if shared else [BENCHES / "target", BENCHES / "peers/target"]
    return targets[0] / "release/serve", targets[1] / "release/rust-peers"


def locked(crate):
    """Its version among the peers in Rust."""
    text = (BENCHES / "peers/Cargo.lock").read_text()
    return re.findall(rf'name = "{crate}"\nversion = "([^"]+)"', text)[-1]
