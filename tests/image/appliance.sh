#!/bin/sh
# appliance.sh DEB - what the image holds, on booted machines (test_appliance.py).
set -eu

deb=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
work=target/appliance
root=$work/root.tar
mkdir -p "$work"
if [ ! -e "$root" ]; then
    echo "Making a root of Debian trixie with both network managers (mmdebstrap)"
    mmdebstrap --quiet --variant=minbase \
        --include=systemd-sysv,dbus,udev,iproute2,procps,network-manager,avahi-daemon \
        trixie "$root.part.tar"
    mv "$root.part.tar" "$root"
fi
exec python3 -u "$here/test_appliance.py" --deb "$deb" --root "$root" --logs "$work/logs"
