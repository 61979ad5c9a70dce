#!/usr/bin/env bash
# Correctness and timings on a real GPU, which may be in a machine without Rust and without a network.
#
#   bash benches/gpu.sh build          here: programs and tests into target/gpu-bench, to be carried over as a whole;
#                                      TILEWRIGHT_CUDA_TOOLS=target/gpu/cuda, which .ci/gpu fills, adds NVRTC
#                                      (45 MB), for where neither CUDA nor PyTorch has one
#   bash gpu.sh run [cuda:0] [OPTION]… there, in that folder: every case, the driver's tests, random kernels and
#                                      minilm (where examples/minilm/model lies beside, as model) against the
#                                      reference; then the table, beside PyTorch and Triton where python3 has them.
#                                      Options are gpu_peers.py's: --rows 'matmul|attention' --rounds 3
#
# TILEWRIGHT_PARTS="cuda minilm table cases random" takes some of it, and TILEWRIGHT_SECONDS=540 ends each part by then,
# for a machine that is lent for minutes: the table is written after each row, and --rows goes on where it ended. The
# cases compile a kernel for each shape, which takes longest.
# Results are in results/; copy them to benches/results/ and commit them with the device's name and date.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

build() {
  cd "$here/.."
  local to=$PWD/target/gpu-bench
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
  rm -rf "$to" && mkdir -p "$to/lib" "$to/versus"
  (cd benches && cargo build --release --locked --bin gpu)
  cargo build --release --locked --example minilm
  cp "$CARGO_TARGET_DIR/release/gpu" "$CARGO_TARGET_DIR/release/examples/minilm" "$to/"
  # The tests' paths come from cargo's own messages.
  for test in cases cuda random_kernels; do
    local path
    path=$(cargo test --locked --test "$test" --no-run 2>&1 | sed -n 's/.*(\(.*\))$/\1/p' | tail -1)
    cp "$path" "$to/$test"
  done
  strip "$to"/{gpu,minilm,cases,cuda,random_kernels}
  cp benches/gpu{.sh,_peers.py,_report.py,_triton.py} "$to/"
  cp benches/versus/{__init__,report,svg}.py "$to/versus/"
  # Packed, as NVRTC is larger than all else.
  for library in "${TILEWRIGHT_CUDA_TOOLS:-/nowhere}"/nvidia/cu13/lib/libnvrtc{,-builtins}.so.*; do
    if [ -e "$library" ]; then gzip -c "$library" > "$to/lib/$(basename "$library").gz"; fi
  done
  du -sh "$to"
}

failed=()

# A test program on the device, one test at a time: launches that report an index outside a tensor are told apart by
# when the host waits.
check() {
  local program=$1
  shift
  echo "-- $program on $device"
  TILEWRIGHT_DEVICE=$device timeout -k 5 "$limit" "./$program" --test-threads=1 --nocapture "$@" > "results/$program.txt" 2>&1 || true
  grep -E "^test |panicked|says|skipped:" "results/$program.txt" || true
  grep -qE "test result: ok\. [1-9]" "results/$program.txt" || failed+=("$program")
}

# Sentences on the device and on the CPU.
minilm() {
  echo "-- minilm on $device"
  if [ ! -d model ]; then echo "skipped: examples/minilm/model does not lie here as model" && return; fi
  local where
  for where in cpu "$device"; do
    MINILM_MODEL=$here/model timeout -k 5 "$limit" ./minilm --json --device "$where" "A cat sleeps." \
      "A kitten naps on the sofa." "Interest rates rose again." > "results/minilm-${where/:/-}.jsonl" || { failed+=(minilm) && return; }
  done
  python3 - "results/minilm-cpu.jsonl" "results/minilm-${device/:/-}.jsonl" <<'PYTHON' || failed+=(minilm)
import json, sys
here, there = ([json.loads(line)["embedding"] for line in open(path)] for path in sys.argv[1:])
apart = max(abs(a - b) for x, y in zip(here, there, strict=True) for a, b in zip(x, y, strict=True))
print(f"embeddings are {apart:.1e} apart at most")
sys.exit(not apart <= 1e-3)
PYTHON
}

table() {
  echo "-- the table"
  if python3 -c "import torch; assert torch.cuda.is_available()" 2>/dev/null; then
    timeout -k 5 "$limit" python3 gpu_peers.py --binary ./gpu --device "$device" --out results \
      --seconds $((limit - 60)) $quick "$@" || failed+=(table)
  else
    echo "no PyTorch with CUDA here: the peers' columns stay empty"
    timeout -k 5 "$limit" ./gpu --device "$device" --json results/ours.json $quick | tee results/ours.txt || failed+=(table)
  fi
}

run() {
  cd "$here"
  device=cuda:0 quick=${TILEWRIGHT_QUICK:+--quick} limit=${TILEWRIGHT_SECONDS:-3600}
  if [[ ${1:-} == *:* ]]; then device=$1 && shift; fi
  gunzip -f lib/*.gz 2>/dev/null || true
  # Without an NVRTC of ours, PyTorch's.
  local torch part
  torch=$(python3 -c "import importlib.util as u; print(*[p + '/cu13/lib:' + p + '/cuda_nvrtc/lib' for p in u.find_spec('nvidia').submodule_search_locations], sep=':')" 2>/dev/null || true)
  export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}${torch:+:$torch} TILEWRIGHT_CACHE=${TILEWRIGHT_CACHE:-$here/cache}
  export TRITON_CACHE_DIR=${TRITON_CACHE_DIR:-$here/cache/triton}
  mkdir -p results
  nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv 2>/dev/null | tee results/device.txt || true
  for part in ${TILEWRIGHT_PARTS:-cuda minilm table cases random}; do
    case $part in
      cases) check cases ${TILEWRIGHT_CASES:-} ;;
      cuda) if [[ $device == cuda* ]]; then check cuda; else echo "skipped: cuda's tests, on $device"; fi ;;
      random) check random_kernels ;;
      minilm) minilm ;;
      table) table "$@" ;;
      *) echo "TILEWRIGHT_PARTS: there is no part $part" >&2 && exit 2 ;;
    esac
  done
  if [ ${#failed[@]} != 0 ]; then
    echo "-- FAILED: ${failed[*]}; see results/. Figures of wrong kernels mean nothing." && exit 1
  fi
}

case "${1:-}" in
  build) build ;;
  run) shift; run "$@" ;;
  *) sed -n '2,15p' "$0"; exit 2 ;;
esac
