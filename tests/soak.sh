#!/bin/sh
# soak.sh COMMAND... - runs the history benchmark on a dedicated ext4 file system in a file, so that
# every written block can be counted. Needs root.
set -eu

work=${CARGO_TARGET_DIR:-target}/soak
mkdir -p "$work"
truncate -s 2G "$work/card.img"
mkfs.ext4 -q -F "$work/card.img"
device=$(losetup --find --show "$work/card.img")
mkdir -p "$work/card"
clean_up() {
    umount "$work/card" 2>/dev/null || true
    losetup --detach "$device"
    rm -f "$work/card.img"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
mount -o noatime "$device" "$work/card"
# A program for 32 bits, if there is one: its memory is measured too.
export BRIGHTSTAT_ARMHF="${BRIGHTSTAT_ARMHF:-$(pwd)/target/arm-unknown-linux-musleabihf/release/brightstat}"
BRIGHTSTAT_SOAK_DIR="$(pwd)/$work/card/history" BRIGHTSTAT_SOAK_DEVICE="${device#/dev/}" "$@"
