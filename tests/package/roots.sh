#!/bin/sh
# roots.sh FOLDER - creates Debian roots to boot, as FOLDER/SUITE.tar, if they are missing.
set -eu

folder=$1
mkdir -p "$folder"
make_root() {
    suite=$1
    shift
    [ -e "$folder/$suite.tar" ] && return
    echo "Making a root of Debian $suite (mmdebstrap)"
    mmdebstrap --quiet --variant=minbase --include="$(echo "$*" | tr ' ' ',')" "$suite" "$folder/$suite.part.tar"
    mv "$folder/$suite.part.tar" "$folder/$suite.tar"
}
# Includes what the package depends on: the machine that boots has no network but ours.
usual="systemd-sysv dbus udev iproute2 procps systemd-timesyncd"
# shellcheck disable=SC2086 # one word per package
make_root trixie $usual libpcap0.8t64 unattended-upgrades gpgv curl
# shellcheck disable=SC2086
make_root bookworm $usual libpcap0.8
