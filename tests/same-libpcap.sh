#!/bin/sh
# same-libpcap.sh FOLDER - puts the libpcap of the programs for the Pis into FOLDER, for this
# machine and as a shared library. Of damaged capture files one version makes something else
# than another; when programs are compared, that is not the difference to look for.
set -eu

cd "$(dirname "$0")/.."
# shellcheck source=debian/toolchain/pins.sh
. debian/toolchain/pins.sh
mkdir -p "$1"
folder=$(cd "$1" && pwd)
if [ -e "$folder/$LIBPCAP_VERSION" ]; then
    exit 0
fi
downloads=$PWD/target/toolchain/downloads
./debian/toolchain/download.sh "$downloads"
rm -rf "$folder"
mkdir -p "$folder/build"
echo "Building libpcap $LIBPCAP_VERSION for this machine"
tar -C "$folder/build" --strip-components 1 -xf "$downloads/libpcap_$LIBPCAP_VERSION.orig.tar.xz"
(
    cd "$folder/build"
    unset MAKEFLAGS MAKEOVERRIDES
    ./configure --with-pcap=linux --without-libnl --disable-usb --disable-bluetooth --disable-dbus \
        --disable-rdma --enable-remote=no
    make -j"$(nproc)" libpcap.so
) > "$folder/log" 2>&1 || {
    tail -20 "$folder/log" >&2
    exit 70
}
# The name by which Debian's programs ask for it.
cp "$folder/build/libpcap.so.$LIBPCAP_VERSION" "$folder/libpcap.so.0.8"
rm -r "$folder/build"
touch "$folder/$LIBPCAP_VERSION"
