#!/usr/bin/env python3
"""What kernels cost a crate: seconds of `cargo build --release` and bytes of the program, for ten of them.

    python3 benches/build_cost.py [--folder target/build-cost]

The crate has five kinds of kernels, each with constants of its own so that none is merged with another. The library
and the macro are built before the clock starts.
"""

import argparse
import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

KERNELS = [
    (
        """#[kernel]
fn softmax{i}<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {{
    for m in tile(M) {{
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = e / e.sum(N) * {i}.25;
    }}
}}""",
        "softmax{i}(&x, &mut out)?;",
    ),
    (
        """#[kernel]
fn linear{i}<M, N, K>(
    x: &Tensor<f32, (M, K)>, w: &Tensor<f32, (N, K)>, b: &Tensor<f32, N>, out: &mut Tensor<f32, (M, N)>,
) {{
    for (m, n) in tile((M, N)) {{
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {{
            acc += dot(x[(m, k)], w[(n, k)], k);
        }}
        out[(m, n)] = gelu(acc + b[n] * {i}.25);
    }}
}}""",
        "linear{i}(&x, &w, &b, &mut out)?;",
    ),
    (
        """#[kernel]
fn norm{i}<M, N>(
    x: &Tensor<f32, (M, N)>, gain: &Tensor<f32, N>, shift: &Tensor<f32, N>, out: &mut Tensor<f32, (M, N)>,
) {{
    for m in tile(M) {{
        let row = x[(m, ..)];
        let centred = row - row.mean(N);
        let scale = rsqrt((centred * centred).mean(N) + {i}.25);
        out[(m, ..)] = centred * scale * gain[..] + shift[..];
    }}
}}""",
        "norm{i}(&x, &b, &b, &mut out)?;",
    ),
    (
        """#[kernel]
fn add{i}<M, N>(x: &Tensor<f32, (M, N)>, y: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {{
    for (m, n) in tile((M, N)) {{
        out[(m, n)] = x[(m, n)] + y[(m, n)] * {i}.25;
    }}
}}""",
        "add{i}(&x, &w, &mut out)?;",
    ),
    (
        """#[kernel]
fn silu{i}<M, N>(x: &Tensor<f32, (M, N)>, y: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {{
    for (m, n) in tile((M, N)) {{
        out[(m, n)] = silu(x[(m, n)]) * {i}.25 * y[(m, n)];
    }}
}}""",
        "silu{i}(&x, &w, &mut out)?;",
    ),
]


def source(count: int) -> str:
    """A program with so many kernels."""
    parts = ["use tilewright::prelude::*;"]
    parts += [KERNELS[i % len(KERNELS)][0].format(i=i) for i in range(count)]
    calls = "\n    ".join(KERNELS[i % len(KERNELS)][1].format(i=i) for i in range(count))
    parts.append(
        f"""fn main() -> Result<(), Error> {{
    let (x, w) = (Tensor::<f32>::zeros((64, 64)), Tensor::<f32>::zeros((64, 64)));
    let (b, mut out) = (Tensor::<f32>::zeros(64), Tensor::<f32>::zeros((64, 64)));
    {calls}
    println!("{{}}", out.to_vec()[0]);
    Ok(())
}}"""
    )
    return "\n\n".join(parts) + "\n"


def build(folder: pathlib.Path, count: int) -> tuple[float, int]:
    """Seconds and bytes."""
    (folder / "src/main.rs").write_text(source(count))
    start = time.monotonic()
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=folder, check=True)
    seconds = time.monotonic() - start
    program = folder / "target/release/kernels"
    subprocess.run([program], check=True, stdout=subprocess.DEVNULL)
    return seconds, program.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target/build-cost")
    folder = parser.parse_args().folder
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "Cargo.toml").write_text(
        f"""[package]
name = "kernels"
version = "0.1.0"
edition = "2024"

[dependencies]
tilewright = {{ path = "{ROOT}" }}

[profile.release]
strip = true

[workspace]
"""
    )
    # This builds the library too.
    _, five = build(folder, 5)
    seconds, ten = build(folder, 10)
    print(f"ten kernels: {seconds:.1f} s, {(ten - five) / 5000:.0f} kB each (the whole program {ten / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
