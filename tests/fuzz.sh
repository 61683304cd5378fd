#!/bin/sh
# fuzz.sh [SECONDS] - builds the fuzzers of fuzz/ and runs each for this time (60), starting from
# its kept corpus. Without a time it only checks that they compile.
#
# New inputs stay below target/fuzz. An input that does harm ends the run and is saved in
# target/fuzz/found; it belongs into fuzz/corpus, together with the fix.
set -eu

cd "$(dirname "$0")/../fuzz"
seconds=${1:-0}
host=$(rustc -vV | sed -n 's/^host: //p')
# The compiler's flags (.cargo/config.toml) must not apply to build scripts: hence --target.
[ "$seconds" != 0 ] || exec cargo check --locked --target "$host"
cargo build --release --locked --target "$host"
work=$(cd ../target/fuzz && pwd)
mkdir -p "$work/found"
# No database is kept, because it is large: the first one is generated.
mkdir -p "$work/new/database"
(cd .. && BRIGHTSTAT_DATABASE="$work/new/database/made" \
    cargo test --quiet --locked --test hostile a_database -- --ignored > /dev/null)
for target in frame names request configuration card moment database; do
    echo "== $target, $seconds s"
    mkdir -p "$work/new/$target"
    kept=corpus/$target
    [ -d "$kept" ] || kept=""
    most=4096
    [ "$target" != database ] || most=400000
    # shellcheck disable=SC2086 # perhaps no folder at all
    "$work/$host/release/$target" -max_total_time="$seconds" -max_len="$most" -timeout=20 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$work/found/$target-" "$work/new/$target" $kept \
        > "$work/$target.log" 2>&1 || {
        # It found something, which is now in found/, or it could not run at all.
        grep -v "^#" "$work/$target.log" | tail -60
        echo "fuzz.sh: $target failed; what it has found, if anything: $(ls "$work/found")" >&2
        exit 1
    }
    grep "^stat::number_of_executed_units\|^stat::new_units_added" "$work/$target.log"
done
