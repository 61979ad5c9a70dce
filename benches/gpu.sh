#!/usr/bin/env bash
# Correctness and timings on a real GPU, which may be in a machine without Rust and without a network.
#
#   bash benches/gpu.sh build          here: programs and tests into target/gpu-bench, to be carried over as a whole;
#                                      TILEWRIGHT_CUDA_TOOLS=target/gpu/cuda, which .ci/gpu fills, adds NVRTC
#                                      (45 MB), for where neither CUDA nor PyTorch has one
#   bash gpu.sh run [cuda:0]           there, in that folder: first every case against the reference, then the
#                                      table; with PyTorch there (python3 -c "import torch"), beside its figures
#
# Results are in results/; copy them to benches/results/ and commit them with the device's name and date.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

build() {
  cd "$here/.."
  local to=$PWD/target/gpu-bench
  rm -rf "$to" && mkdir -p "$to/lib"
  (cd benches && CARGO_TARGET_DIR=$PWD/../target cargo build --release --locked --bin gpu)
  cp target/release/gpu "$to/"
  # The tests' paths come from cargo's own messages.
  for test in cases cuda random_kernels; do
    local path
    path=$(cargo test --locked --test "$test" --no-run 2>&1 | sed -n 's/.*(\(.*\))$/\1/p' | tail -1)
    cp "$path" "$to/$test"
  done
  strip "$to/gpu" "$to/cases" "$to/cuda" "$to/random_kernels"
  cp benches/gpu.sh benches/gpu_peers.py "$to/"
  # Packed, as NVRTC is larger than all else.
  for library in "${TILEWRIGHT_CUDA_TOOLS:-/nowhere}"/nvidia/cu13/lib/libnvrtc{,-builtins}.so.*; do
    if [ -e "$library" ]; then gzip -c "$library" > "$to/lib/$(basename "$library").gz"; fi
  done
  du -sh "$to"
}

run() {
  cd "$here"
  local device=${1:-cuda:0} quick=${TILEWRIGHT_QUICK:+--quick}
  gunzip -f lib/*.gz 2>/dev/null || true
  # Without an NVRTC of ours, PyTorch's.
  local torch
  torch=$(python3 -c "import importlib.util as u; print(*[p + '/cu13/lib:' + p + '/cuda_nvrtc/lib' for p in u.find_spec('nvidia').submodule_search_locations], sep=':')" 2>/dev/null || true)
  export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}${torch:+:$torch} TILEWRIGHT_CACHE=${TILEWRIGHT_CACHE:-$here/cache}
  mkdir -p results
  nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv 2>/dev/null | tee results/device.txt || true
  echo "-- every case on $device against the reference"
  # One thread: launches that report an index outside a tensor are told apart by when the host waits.
  TILEWRIGHT_DEVICE=$device ./cases --test-threads=1 ${TILEWRIGHT_CASES:-} 2>&1 | tee results/cases.txt | grep -E "^test |panicked|says" || true
  local failed=0
  grep -qE "test result: ok\. [1-9]" results/cases.txt || failed=1
  echo "-- the table"
  if python3 -c "import torch; assert torch.cuda.is_available()" 2>/dev/null; then
    python3 gpu_peers.py --binary ./gpu --device "$device" --out results $quick
  else
    echo "no PyTorch with CUDA here: the peers' columns stay empty"
    ./gpu --device "$device" --json results/ours.json $quick | tee results/ours.txt
  fi
  if [ $failed = 1 ]; then echo "-- CASES FAIL: figures of wrong kernels mean nothing; see results/cases.txt" && exit 1; fi
}

case "${1:-}" in
  build) build ;;
  run) shift; run "$@" ;;
  *) sed -n '2,11p' "$0"; exit 2 ;;
esac
