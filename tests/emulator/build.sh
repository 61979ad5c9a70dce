#!/bin/sh
# Builds the fake libcuda.so.1 and libnvrtc.so.13, and libamdhip64.so.7 and libhiprtc.so.7 over them, into a
# folder: tests/emulator/build.sh OUT_DIR
# Put the folder into LD_LIBRARY_PATH, and programs find an emulated GPU.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 OUT_DIR" >&2; exit 2; }
cxx=${TW_EMULATOR_CXX:-g++}
command -v "$cxx" >/dev/null 2>&1 || {
    echo "the GPU emulator needs a C++17 compiler, and there is no $cxx: install g++ or set TW_EMULATOR_CXX" >&2
    exit 3
}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/cache"
out=$(cd "$1" && pwd)
# One at a time, and nothing to do where nothing changed.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$out/lock"
    flock 9
fi
if [ -e "$out/built" ] && [ -z "$(find "$here" -newer "$out/built" -type f ! -name '*.rs')" ]; then exit 0; fi
options="-std=c++17 -O2 -g1 -fPIC -shared -pthread -fvisibility=hidden -Wall -Wextra"
# Built under another name first: whoever runs beside this finds the old libraries or the new ones.
work=$(mktemp -d "$out/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$cxx" $options -Wl,-soname,libnvrtc.so.13 "$here/libnvrtc.cpp" -o "$work/libnvrtc.so.13" -ldl &
nvrtc=$!
"$cxx" $options -Wl,-soname,libcuda.so.1 "$here"/libcuda*.cpp "$here/scheduler.cpp" "$here/calls.cpp" "$here/fiber.cpp" "$here/memory.cpp" -o "$work/libcuda.so.1" -ldl
wait $nvrtc
for name in amdhip64:cuda.so.1 hiprtc:nvrtc.so.13; do
    ours=${name%:*}
    "$cxx" $options -Wl,-soname,lib$ours.so.7 "$here/lib$ours.cpp" -o "$work/lib$ours.so.7" "-L$work" "-l:lib${name#*:}" '-Wl,-rpath,$ORIGIN,-z,defs'
done
"$cxx" -std=c++17 -O1 -Wall -Wextra "$here/selftest.cpp" -o "$work/selftest" -pthread -ldl
cp "$here/simt.h" "$work/simt.h"
ln -s libcuda.so.1 "$work/libcuda.so"
ln -s libnvrtc.so.13 "$work/libnvrtc.so"
mv -f "$work"/* "$out/"
rm -f "$out"/cache/*
touch "$out/built"
