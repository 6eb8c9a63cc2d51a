#!/bin/sh
# Runs the fuzz targets, all or those named as arguments, for a fixed number of inputs each, and
# fails if one crashes, hangs or takes too much memory. The same RUNS and SEED give the same run
# where addresses can be kept from being random (`setarch -R`), and almost the same elsewhere.
#
#   RUNS     inputs per target (default 20000)
#   SEED     of the random numbers, not 0, which stands for a random one (default 1)
#   MAX_LEN  longest input in bytes (default 4096)
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
    for file in targets/*.rs; do
        set -- "$@" "$(basename "$file" .rs)"
    done
fi

# One target, by itself on one core.
run_target() {
    target=$1
    mkdir "$corpus/$target"
    # The golden cases are good seeds; they stay where they are.
    case $target in
    requests) golden=../../plugins/ai-proxy/tests/golden/requests ;;
    answers | streams) golden=../../plugins/ai-proxy/tests/golden/answers ;;
    *) golden= ;;
    esac
    if ! $fixed "$bin/$target" "$corpus/$target" "seeds/$target" $golden -runs="$runs" -seed="$seed" \
        -max_len="$max_len" -rss_limit_mb=1024 -timeout=10 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target-" >"$corpus/$target.log" 2>&1; then
        cat "$corpus/$target.log" >&2
        echo "fuzz: $target failed" >&2
        return 1
    fi
    found=$(find "$corpus/$target" -type f | wc -l)
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$corpus/$target.log")
    echo "fuzz: $target passed: $executed inputs, $found of them with new coverage"
}

# Two at a time: every other one here, the rest beside them.
every_other() {
    mine=$1
    shift
    failed=0
    for name in "$@"; do
        [ "$mine" = 1 ] && { run_target "$name" || failed=1; }
        mine=$((1 - mine))
    done
    return "$failed"
}
every_other 0 "$@" &
beside=$!
here=0
every_other 1 "$@" || here=1
wait "$beside" && exit "$here"
exit 1
