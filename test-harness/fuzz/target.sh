#!/bin/sh
# Runs one fuzz target; for run.sh, which says how.
set -eu
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
    exit 1
fi
found=$(find "$corpus/$target" -type f | wc -l)
executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$corpus/$target.log")
echo "fuzz: $target passed: $executed inputs, $found of them with new coverage"
