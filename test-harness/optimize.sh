#!/bin/sh
# Makes a module smaller with Binaryen's wasm-opt: `optimize.sh <in.wasm> <out.wasm>`. One
# that has not changed since the last time is left as it is. Without Node.js and without a wasm-opt on
# PATH the module is taken as it was compiled, which works as well and is an eighth larger.
set -eu
cd "$(dirname "$0")/.."
BINARYEN=132.0.0
in=$1 out=$2
cmp -s "$in" "$out.in" && [ -f "$out" ] && exit
if [ ! -x target/tools/node_modules/.bin/wasm-opt ] && command -v npm >/dev/null 2>&1; then
    npm install --silent --no-audit --no-fund --prefix target/tools "binaryen@$BINARYEN" >/dev/null 2>&1 || true
fi
optimizer=target/tools/node_modules/.bin/wasm-opt
[ -x "$optimizer" ] || optimizer=$(command -v wasm-opt || true)
if [ -n "$optimizer" ]; then
    # No other features than those that Rust's own target has.
    "$optimizer" -Oz --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext \
        --enable-mutable-globals --enable-multivalue --enable-reference-types "$in" -o "$out.new"
    mv "$out.new" "$out"
else
    echo "wasm-opt is missing, so $out is larger than it could be: install Node.js with npm" >&2
    cp "$in" "$out"
fi
cp "$in" "$out.in"
