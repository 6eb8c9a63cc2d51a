#!/bin/sh
# Runs the fuzz targets, all or those named as arguments, for a fixed number of inputs each, and
# fails if one crashes, hangs or takes too much memory. The same RUNS and SEED give the same run
# where addresses can be kept from being random (`setarch -R`), and almost the same elsewhere.
#
#   RUNS     inputs per target (default 20000)
#   SEED     of the random numbers, not 0, which stands for a random one (default 1)
#   MAX_LEN  longest input in bytes (default 4096)
#
# As many targets run at a time as there are processors.
#
# An input that crashed is kept in artifacts/; run it again with
# `target/*/release/<target> artifacts/<file>`.
set -eu
cd "$(dirname "$0")"
runs=${RUNS:-20000}
seed=${SEED:-1}
max_len=${MAX_LEN:-4096}

# The coverage that libFuzzer is guided by, with what the stable compiler has. It is given for an
# explicit target, because build scripts and macros cannot be linked with it.
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$option"
done
RUSTFLAGS=$flags cargo build --release --locked --target "$host"
bin=${CARGO_TARGET_DIR:-target}/$host/release

# The fuzzer remembers comparisons by the address of the code.
fixed=
if setarch -R true 2>/dev/null; then
    fixed="setarch -R"
fi

# What the fuzzer finds on its way is only of use to this run.
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p artifacts

if [ $# -eq 0 ]; then
    # That of streams takes longest, and is not to be the last one alone.
    set -- streams
    for file in targets/*.rs; do
        target=$(basename "$file" .rs)
        [ "$target" = streams ] || set -- "$@" "$target"
    done
fi
export runs seed max_len bin fixed corpus
printf '%s\n' "$@" | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" ./target.sh
