#!/bin/sh
# libpcap.sh FOLDER - builds libpcap of pins.sh for this machine, static, in FOLDER/lib. As in the
# programs for the Pis, it is the newest, as it reads what strangers send. And it lacks Debian's
# support for USB, D-Bus and RDMA, which puts 900 kB of libraries into the daemon's memory.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=debian/toolchain/pins.sh
. "$here/pins.sh"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
# Rebuild when this script or pins.sh has changed.
made_of=$(cat "$0" "$here/pins.sh" | sha256sum)
if [ "$(cat "$folder/made-of" 2>/dev/null)" = "$made_of" ]; then
    exit 0
fi
"$here/download.sh" "$folder/../downloads" libpcap
rm -rf "$folder"
mkdir -p "$folder/build" "$folder/lib"
echo "Building libpcap $LIBPCAP_VERSION for this machine"
tar -C "$folder/build" --strip-components 1 -xf "$folder/../downloads/libpcap_$LIBPCAP_VERSION.orig.tar.xz"
# shellcheck disable=SC2086
(
    cd "$folder/build"
    unset CC CXX AR CPPFLAGS CXXFLAGS LDFLAGS MAKEFLAGS MAKEOVERRIDES
    CFLAGS="-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffile-prefix-map=$folder=toolchain" \
        ./configure $LIBPCAP_OPTIONS
    make -j"$(nproc)" libpcap.a
) > "$folder/log" 2>&1 || {
    tail -20 "$folder/log" >&2
    echo "libpcap.sh: libpcap could not be built; $folder/log has it all" >&2
    exit 70
}
cp "$folder/build/libpcap.a" "$folder/lib/libpcap.a"
rm -r "$folder/build"
echo "$made_of" > "$folder/made-of"
