#!/bin/sh
# cargo-as-root.sh ARGUMENTS... - cargo for tests that need root, for use through sudo: with the
# caller's Rust, and without leaving files owned by root in target/.
set -eu

if [ -n "${SUDO_UID:-}" ]; then
    home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
    PATH="$home/.cargo/bin:$PATH"
    RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
    CARGO_HOME=${CARGO_HOME:-$home/.cargo}
    export PATH RUSTUP_HOME CARGO_HOME
fi
status=0
cargo "$@" || status=$?
if [ -n "${SUDO_UID:-}" ]; then
    chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" target
fi
exit "$status"
