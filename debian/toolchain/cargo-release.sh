#!/bin/sh
# cargo-release.sh ARGUMENTS... - runs "cargo build --release ARGUMENTS" so that the result is
# the same to the bit on every machine: no path of the machine gets into the program, neither
# from Rust nor from the C of SQLite. CARGO names another cargo, such as "cargo +beta"; SYSROOT
# is where std is, unless rustc knows. BUILDER builds in cargo's place (cross) and sees the
# project, cargo's home and the target folder at PROJECT_AT, HOME_AT and TARGET_AT.
set -eu

# These would not add to the flags of .cargo/config.toml but silently replace them, including
# those that make a program right for a Pi.
for name in RUSTFLAGS CARGO_ENCODED_RUSTFLAGS; do
    if printenv "$name" >/dev/null; then
        echo "cargo-release.sh: $name is set; it would replace the flags of .cargo/config.toml. Unset it." >&2
        exit 78
    fi
done

cargo=${CARGO:-cargo}
home=${CARGO_HOME:-$HOME/.cargo}
project=${PROJECT_AT:-$(pwd)}
home_at=${HOME_AT:-$home}
# shellcheck disable=SC2086 # cargo may have arguments
$cargo fetch --quiet --locked

rust="" c=""
remap() { # FROM TO; if several match, the last one wins
    rust="$rust'--remap-path-prefix=$1=$2',"
    c="$c -ffile-prefix-map=$1=$2"
}
remap "$project" brightstat
remap "${TARGET_AT:-$project/target}" brightstat/target
remap "$home_at" cargo
# The folder between them is named after the registry, or the mirror of it that is used here.
for registry in "$home"/registry/src/*; do
    remap "$home_at/registry/src/${registry##*/}" crates
done
if [ -n "${SYSROOT:-}" ]; then
    rust="$rust'--sysroot=$SYSROOT',"
fi

CFLAGS="${CFLAGS:-}$c"
export CFLAGS
# Flags for cfg(all()) add to those of a target.
# shellcheck disable=SC2086
exec ${BUILDER:-$cargo} build --locked --release --config "target.'cfg(all())'.rustflags=[$rust]" "$@"
