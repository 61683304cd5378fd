#!/bin/sh
# deny.sh [--install] - checks the dependencies against deny.toml, with cargo-deny. --install only
# installs cargo-deny, in cargo's own home, if it is missing on this machine.
#
# Advisories come from a git repository. If it cannot be reached they are not checked, and a line
# that begins with "advisories" says so.
set -eu

cd "$(dirname "$0")/.."
version=0.20.2
if [ "${1:-}" = --install ]; then
    cargo deny --version > /dev/null 2>&1 && exit 0
    echo "Building cargo-deny $version, which takes minutes, once on this machine"
    exec cargo install --quiet --locked --version "$version" cargo-deny
fi
cargo deny --locked check bans licenses sources
if timeout 60 cargo deny fetch db > /dev/null 2>&1; then
    cargo deny --locked check --disable-fetch advisories
else
    echo "advisories: their database cannot be reached from here"
fi
