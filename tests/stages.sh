#!/bin/bash
# stages.sh TIER - runs the tests of a tier, stage by stage, the quickest first.
#
#   check    formatting, lints, unit and property tests; needs no root
#   test     the same, and all else that a change can break here; what CI runs
#   nightly  what takes hours, or breaks only when a tool changes
#
# `make` installs what the stages need, and calls this. Each stage writes to target/stages/NAME.log.
# When a stage fails, its log is printed and no further stage starts. Stages that mostly wait for
# machines to boot run in parallel lanes. At the end come a table of all stages and the total of
# their tests.
#
# shellcheck disable=SC2317 # functions are called by `stage`
set -u

cd "$(dirname "$0")/.." || exit 70
tier=${1:?check, test or nightly}
logs=target/stages
mkdir -p "$logs"
rm -f "$logs"/*
CARGO=${CARGO:-cargo}
begin=$SECONDS
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
own=$(dpkg --print-architecture)
not_run=()

# stage NAME COMMAND... - runs one stage, and adds its line to the table.
stage() {
    local name=$1 start=$SECONDS result=ok
    shift
    [ ! -e "$logs/failed" ] || return 1
    "$@" > "$logs/$name.log" 2>&1 < /dev/null || result="FAILED"
    local seconds=$((SECONDS - start))
    echo "$name $seconds $result" >> "$logs/table"
    printf '%-20s %5d s  %s\n' "$name" "$seconds" "$result"
    [ "$result" = ok ] && return 0
    echo "$name" >> "$logs/failed"
    { echo "==== $name failed: $* ===="; cat "$logs/$name.log"; echo "==== end of $name ===="; }
    return 1
}

# Cargo as root; sudo would drop the environment variables.
as_root() {
    ./tests/as-root.sh env BRIGHTSTAT_CORPUS="${BRIGHTSTAT_CORPUS:-}" CI="${CI:-}" \
        ./tests/cargo-as-root.sh "$@"
}

# The sum of the tests in all logs: cargo's, those of Python's unittest and of Node's runner. A
# stage without tests of its own (a linter, a build) counts as one.
count() {
    awk '
        FILENAME ~ /table$/ { bad[$1] = $3 == "FAILED"; next }
        FNR == 1 { stage = FILENAME; sub(/.*\//, "", stage); sub(/\.log$/, "", stage) }
        /^test result: / { found[stage] = 1; passed += $4; failed += $6; ignored += $8 }
        /^Ran [0-9]+ tests? in/ { ran = $2 }
        /^(OK|FAILED)( \(|$)/ && ran != "" {
            found[stage] = 1
            wrong = 0
            if (match($0, /failures=[0-9]+/)) wrong += substr($0, RSTART + 9, RLENGTH - 9)
            if (match($0, /errors=[0-9]+/)) wrong += substr($0, RSTART + 7, RLENGTH - 7)
            passed += ran - wrong
            failed += wrong
            ran = ""
        }
        /^(#|ℹ) pass [0-9]+$/ { found[stage] = 1; passed += $3 }
        /^(#|ℹ) fail [0-9]+$/ { found[stage] = 1; failed += $3 }
        END {
            for (stage in bad)
                if (!found[stage]) { passed += !bad[stage]; failed += bad[stage] }
                # A runner that died has counted less than it should.
                else if (bad[stage] && !failed) failed = 1
            if (ignored) printf "%d ignored\n", ignored
            printf "%d passed, %d failed\n", passed, failed
        }
    ' "$logs/table" "$logs"/*.log
}

finish() {
    local status=0
    if grep -qs "^advisories: " "$logs/dependencies.log"; then
        not_run+=("$(grep "^advisories: " "$logs/dependencies.log")")
    fi
    [ ! -e "$logs/failed" ] || status=1
    echo
    echo "stage               seconds"
    sort -k2n "$logs/table" | while read -r name seconds result; do
        printf '%-20s %6d  %s\n' "$name" "$seconds" "$result"
    done
    printf '%-20s %6d\n' "all of make $tier" $((SECONDS - begin))
    for text in "${not_run[@]}"; do echo "not run: $text"; done
    count
    exit $status
}
trap 'kill $(jobs -p) 2>/dev/null; exit 1' INT TERM

# --- make check ---------------------------------------------------------------------------

scripts() {
    shellcheck -x .ci/run tests/*.sh tests/*/*.sh debian/*/*.sh image/base-debian image/make \
        image/stand-in/make image/stand-in/quirks image/stand-in/initramfs
}

page_source() {
    (cd src/web/ui && npm run --silent check) || return
    if grep -n '"resolved"' src/web/ui/package-lock.json; then
        echo "package-lock.json names where packages come from; see src/web/ui/.npmrc" >&2
        return 1
    fi
}

documents() {
    $CARGO run --quiet --locked -- check-config src/config/brightstat.toml &&
        $CARGO run --quiet --locked -- check-config src/config/etc.toml &&
        $CARGO run --quiet --locked --example manual -- target &&
        mandoc -T lint -W error target/man/* &&
        $CARGO test --locked --test documents
}

dependencies() { ./tests/deny.sh; }

check() {
    stage format "$CARGO" fmt --check &&
        stage scripts scripts &&
        stage page-source page_source &&
        stage dependencies dependencies &&
        stage lints "$CARGO" clippy --locked --all-targets -- -D warnings &&
        stage documents documents &&
        stage captures "$CARGO" test --locked --test captures --test names --test hostile --test rooms &&
        stage unit "$CARGO" test --locked --lib --bins &&
        stage fuzz-targets ./tests/fuzz.sh
}

# --- make test ----------------------------------------------------------------------------

# The foreign corpus is a second suite: it may be absent, but not in CI.
corpus() {
    local folder=${BRIGHTSTAT_CORPUS:-$PWD/../shared/corpus}
    if [ -d "$folder" ]; then
        export BRIGHTSTAT_CORPUS=$folder
        stage corpus "$CARGO" test --locked --test corpus -- --ignored
        # The names that tshark finds in it lie beside it.
        local names=${BRIGHTSTAT_NAMES:-$folder/../names}
        if [ -d "$names" ]; then
            export BRIGHTSTAT_NAMES=$names
            stage names "$CARGO" test --locked --test names -- --ignored
        else
            not_run+=("the names in the foreign corpus (BRIGHTSTAT_NAMES says where they are)")
        fi
    elif [ -n "${CI:-}" ]; then
        stage corpus sh -c "echo '$folder: CI must have the foreign corpus' >&2; exit 1"
    else
        not_run+=("the foreign corpus, which is not here (BRIGHTSTAT_CORPUS says where it is)")
        stage corpus "$CARGO" test --locked --test corpus
        grep "ignored, " "$logs/corpus.log"
    fi
}

live() {
    local name
    for name in cli query stream live web full page; do
        stage "$name" as_root test --locked --test "$name" || return
    done
}

deb() { echo "target/deb/brightstat_${version}_$1.deb"; }

# Builds everything that the stages on machines need, once. One after another, because debhelper
# works in debian/.
packages() {
    local arch
    for arch in "$own" arm64 armhf; do
        stage "deb-$arch" make --no-print-directory deb ARCH="$arch" WAY=host || return
    done
    stage cross-ready cross_ready
}

cross_ready() {
    $CARGO test --locked --test cross --no-run &&
        $CARGO run --quiet --locked --example captures -- target/captures home.pcapng
}

foreign() {
    local arch
    for arch in arm64 armhf; do
        ./tests/as-root.sh ./tests/package/foreign.sh "$(deb "$arch")" "$arch" || return
    done
}

# nspawn machines mostly wait; in parallel, QEMU mostly computes.
machines() {
    (
        stage package ./tests/as-root.sh ./tests/package/run.sh "$(deb "$own")" &&
            stage appliance ./tests/as-root.sh ./tests/image/appliance.sh "$(deb "$own")"
    ) &
    (
        stage boot ./tests/boot/run.py target/arm-unknown-linux-musleabihf/release/brightstat \
            target/captures/home.pcapng target/boot &&
            stage foreign-packages foreign &&
            stage cross as_root test --locked --test cross -- --ignored &&
            stage image ./tests/as-root.sh ./tests/image/run.sh "$(deb arm64)" "$(deb armhf)"
    ) &
    wait
    [ ! -e "$logs/failed" ]
}

# --- make nightly -------------------------------------------------------------------------


nightly() {
    local arch
    for arch in "$own" arm64 armhf; do
        stage "deb-$arch" make --no-print-directory deb ARCH="$arch" WAY=host || return
    done
    [ ! -x tests/fuzz.sh ] || stage fuzz ./tests/fuzz.sh 60 || return
    stage same-package ./tests/package/again.sh "$(deb "$own")" &&
        stage same-program ./tests/reproducible.sh armhf \
            target/arm-unknown-linux-musleabihf/release/brightstat &&
        stage soak ./tests/as-root.sh ./tests/soak.sh ./tests/cargo-as-root.sh bench --locked --bench history &&
        stage containers ./tests/containers.sh arm64 target/aarch64-unknown-linux-musl/release/brightstat &&
        stage crowd ./tests/as-root.sh python3 tests/web/crowd.py --binary target/release/brightstat
}

touch "$logs/table"
case $tier in
    check) check ;;
    test) check && corpus && stage crash "$CARGO" test --locked --test crash &&
        stage memory "$CARGO" test --locked --test memory && packages && live && machines ;;
    nightly) nightly ;;
    corpus | packages | live | machines) "$tier" ;; # a part of `test`, by itself
    *) echo "stages.sh: $tier: there is check, test and nightly" >&2 && exit 64 ;;
esac
finish
