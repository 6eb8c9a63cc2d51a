#!/bin/sh
# Makes modules smaller with Binaryen's wasm-opt, all at once: `optimize.sh <in.wasm> <out.wasm> ...`. One
# that has not changed since the last time is left as it is. Without Node.js and without a wasm-opt on
# PATH modules are taken as they were compiled, which works as well and is an eighth larger.
set -eu
cd "$(dirname "$0")/.."
BINARYEN=132.0.0
if [ ! -x target/tools/node_modules/.bin/wasm-opt ] && command -v npm >/dev/null 2>&1; then
    npm install --silent --no-audit --no-fund --prefix target/tools "binaryen@$BINARYEN" >/dev/null 2>&1 || true
fi
optimizer=target/tools/node_modules/.bin/wasm-opt
[ -x "$optimizer" ] || optimizer=$(command -v wasm-opt || true)
[ -n "$optimizer" ] ||
    echo "wasm-opt is missing, so modules are larger than they could be: install Node.js with npm" >&2

optimize() {
    cmp -s "$1" "$2.in" && [ -f "$2" ] && return
    if [ "${OPTIMIZE:-}" != quick ] && [ -n "$optimizer" ]; then
        # No other features than those that Rust's own target has.
        "$optimizer" --strip-debug --merge-similar-functions -Oz --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext \
            --enable-mutable-globals --enable-multivalue --enable-reference-types "$1" -o "$2.new"
        mv "$2.new" "$2"
    else
        cp "$1" "$2"
    fi
    cp "$1" "$2.in"
}

# What the baseline of instructions is compared by (test-harness/fuel.json).
mkdir -p dist
echo "${OPTIMIZE:-release}, $(rustc --version), $([ -n "$optimizer" ] && "$optimizer" --version || echo no wasm-opt)" > dist/built-as

jobs=
while [ $# -ge 2 ]; do
    optimize "$1" "$2" &
    jobs="$jobs $!"
    shift 2
done
for job in $jobs; do
    wait "$job"
done
