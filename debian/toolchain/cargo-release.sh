#!/bin/sh
# cargo-release.sh ARGUMENTS... - "cargo build --release ARGUMENTS" whose result is the same
# to the bit wherever it runs: no path of the machine gets into the program, neither from
# Rust nor from the C of SQLite. CARGO names another cargo, such as "cross" or "cargo +beta".
set -eu

# These would not add to the flags of .cargo/config.toml, but replace them without a word,
# and with them those that make a program right for a Pi.
for name in RUSTFLAGS CARGO_ENCODED_RUSTFLAGS; do
    if printenv "$name" >/dev/null; then
        echo "cargo-release.sh: $name is set; it would replace the flags of .cargo/config.toml. Unset it." >&2
        exit 78
    fi
done

cargo=${CARGO:-cargo}
home=${CARGO_HOME:-$HOME/.cargo}
here=$(pwd)
# shellcheck disable=SC2086 # cargo may have arguments
$cargo fetch --quiet --locked

rust="" c=""
remap() { # FROM TO; of several that match, the last holds
    rust="$rust'--remap-path-prefix=$1=$2',"
    c="$c -ffile-prefix-map=$1=$2"
}
remap "$here" brightstat
remap "$home" cargo
# What lies between is named after the registry, or the mirror of it that is used here.
for registry in "$home"/registry/src/*; do
    remap "$registry" crates
done

CFLAGS="${CFLAGS:-}$c"
export CFLAGS
# Flags for cfg(all()) add to those of a target.
# shellcheck disable=SC2086
exec $cargo build --locked --release --config "target.'cfg(all())'.rustflags=[$rust]" "$@"
