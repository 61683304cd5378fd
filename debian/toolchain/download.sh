#!/bin/sh
# download.sh FOLDER [libpcap] - fetches what setup.sh needs into FOLDER, by name and sha256: Zig
# from PyPI, and libpcap's source from Debian. With "libpcap" it fetches only the latter. Files
# that are there already are not fetched again.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=debian/toolchain/pins.sh
. "$here/pins.sh"
folder=$1
mkdir -p "$folder"

if [ "${2:-}" != libpcap ] && ! ls "$folder/ziglang-$ZIG_VERSION-"*.whl >/dev/null 2>&1; then
    echo "Fetching Zig $ZIG_VERSION, the C compiler for the Pi, with pip (100 MB)"
    python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes \
        --requirement "$here/requirements.txt" --dest "$folder"
fi

tarball=libpcap_$LIBPCAP_VERSION.orig.tar.xz
if [ ! -e "$folder/$tarball" ]; then
    echo "Fetching the source of libpcap $LIBPCAP_VERSION with apt"
    apt() { # ARGUMENTS... - with the suites that may have it
        "$here/apt.sh" "$folder/apt" trixie forky sid -- "$@"
    }
    apt update -qq
    # Debian's revision (the -1 of 1.11.0-1) changes without the source.
    version=$(APT_CONFIG=$folder/apt/apt.conf apt-cache showsrc libpcap |
        sed -n "s/^Version: \($LIBPCAP_VERSION-[^ ]*\)$/\1/p" | head -n 1)
    if [ -z "$version" ]; then
        echo "download.sh: Debian no longer has libpcap $LIBPCAP_VERSION, but these:" \
            "$(APT_CONFIG=$folder/apt/apt.conf apt-cache showsrc libpcap | sed -n 's/^Version: //p' | tr '\n' ' ');" \
            "put the new version and its sha256 into debian/toolchain/pins.sh" >&2
        exit 69
    fi
    mkdir -p "$folder/new"
    (cd "$folder/new" && "$here/apt.sh" ../apt trixie forky sid -- source -qq --download-only --tar-only "libpcap=$version")
    mv "$folder/new/$tarball" "$folder/$tarball"
    rm -r "$folder/new"
fi
if ! echo "$LIBPCAP_SHA256  $folder/$tarball" | sha256sum --check --quiet; then
    echo "download.sh: $folder/$tarball is not the one of pins.sh; remove it and try again" >&2
    exit 65
fi
