#!/bin/sh
# build.sh ARCH [WAY] - builds the release binary for a Debian architecture: amd64, arm64 or
# armhf.
#
# Plain cargo builds for this machine's own architecture, with glibc. All architectures use the
# libpcap of pins.sh (libpcap.sh, setup.sh).
# For the Pis there are two ways. They make equivalent programs, as both use the toolchain of
# setup.sh and the flags of .cargo/config.toml:
#
#   cross  in a container, by `cross`; needs Docker or Podman
#   host   with this machine's cargo
#
# Without WAY, build.sh uses cross if that is installed and can run, else host.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
arch=$1
way=${2:-auto}
own=$(dpkg --print-architecture 2>/dev/null || uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')

case $arch in
    arm64) triple=aarch64-unknown-linux-musl ;;
    armhf) triple=arm-unknown-linux-musleabihf ;;
    *) triple="" ;;
esac
tools=target/toolchain
mkdir -p "$tools"
tools=$(cd "$tools" && pwd)
if [ "$arch" = "$own" ]; then
    ./tests/need.sh flex:flex bison:bison xz:xz-utils make:make
    # One process at a time builds it; the others find it.
    exec 9> "$tools/lock"
    flock 9
    "$here/libpcap.sh" "$tools/own"
    exec 9>&-
    LIBPCAP_LIBDIR="$tools/own/lib" exec "$here/cargo-release.sh"
elif [ -z "$triple" ]; then
    echo "build.sh: ARCH=$arch on $own: there is arm64, armhf, and this machine's own" >&2
    exit 64
fi

# dpkg and others set these for their own compilers.
unset CC CXX AR CFLAGS CPPFLAGS CXXFLAGS LDFLAGS MAKEFLAGS MAKEOVERRIDES

engine() { # prints the container engine, as cross would choose it
    for engine in ${CROSS_CONTAINER_ENGINE:-docker podman}; do
        if command -v "$engine" >/dev/null 2>&1 && "$engine" info >/dev/null 2>&1; then
            echo "$engine"
            return
        fi
    done
    return 1
}
case $way in
    host | cross) why="as WAY says" ;;
    auto)
        if ! command -v cross >/dev/null 2>&1; then
            way=host why="cross is not installed"
        elif engine=$(engine); then
            way=cross why="cross and $engine are here"
        else
            way=host why="cross is here, but neither Docker nor Podman answers"
        fi
        ;;
    *)
        echo "build.sh: WAY=$way: there is host and cross" >&2
        exit 64
        ;;
esac
echo "Building for $triple by way of '$way': $why"

# One process at a time builds the toolchain; the others find it.
exec 9> "$tools/lock"
flock 9
if [ "$way" = host ]; then
    ./tests/need.sh pip3:python3-pip flex:flex bison:bison xz:xz-utils make:make \
        arm-linux-gnueabihf-strip:binutils-arm-linux-gnueabihf \
        aarch64-linux-gnu-strip:binutils-aarch64-linux-gnu
    "$here/download.sh" "$tools/downloads"
    "$here/setup.sh" "$tools/pi" "$tools/downloads"
    # STD=rustc-web goes straight to the last resort.
    if [ "${STD:-}" = rustc-web ] || ! sysroot=$("$here/std.sh" "$tools/rust" "$triple"); then
        RUSTC=$("$here/rustc-web.sh" "$tools/rust")
        export RUSTC
        echo "Building with $($RUSTC --version)"
        sysroot=$("$here/std.sh" "$tools/rust" "$triple")
    fi
    exec 9>&-
    PATH="$tools/pi/bin:$PATH" LIBPCAP_LIBDIR="$tools/pi/$triple/lib" SYSROOT=$sysroot \
        exec "$here/cargo-release.sh" --target "$triple"
fi

# The container cannot ask git.
if [ -z "${BRIGHTSTAT_COMMIT:-}" ] && [ -e .git ]; then
    made_of="src Cargo.toml Cargo.lock .cargo" # as in src/command/source.rs
    # shellcheck disable=SC2086
    BRIGHTSTAT_COMMIT=$(git rev-parse --short=12 HEAD)$(
        [ -z "$(git status --porcelain --untracked-files=no -- $made_of)" ] || echo -dirty)
fi
export BRIGHTSTAT_COMMIT="${BRIGHTSTAT_COMMIT:-}"
# cross has rustup fetch the target's std, unless it was told to leave the toolchain alone.
sysroot=""
if [ -n "${CROSS_CUSTOM_TOOLCHAIN:-}" ]; then
    sysroot=$("$here/std.sh" "$tools/rust" "$triple")
    sysroot=${sysroot:+/project/target/toolchain/rust/${sysroot##*/}}
fi
exec 9>&-
export CARGO_TARGET_DIR="$PWD/target/cross"
mkdir -p "$CARGO_TARGET_DIR"
BUILDER=cross PROJECT_AT=/project HOME_AT=/cargo TARGET_AT=/target SYSROOT=$sysroot \
    "$here/cargo-release.sh" --target "$triple"
# Replace an existing file instead of writing to it: cargo has linked it to others.
mkdir -p "target/$triple/release"
cp --remove-destination "target/cross/$triple/release/brightstat" "target/$triple/release/brightstat"
