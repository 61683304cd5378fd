#!/bin/sh
# appliance.sh DEB - tests the contents of the image on booted machines (test_appliance.py).
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
        --include=systemd-sysv,dbus,udev,iproute2,procps,libpcap0.8t64,network-manager,avahi-daemon \
        trixie "$root.part.tar"
    mv "$root.part.tar" "$root"
fi
# Most of the time goes into waiting for spanning tree and reboots, so all run in parallel.
mkdir -p "$work/logs"
running=""
classes=$(sed -n 's/^class \([A-Za-z]*\)(\(OnAppliance\|Bridge\)):$/\1/p' "$here/test_appliance.py")
for class in $classes; do
    python3 -u "$here/test_appliance.py" --deb "$deb" --root "$root" --logs "$work/logs" "$class" \
        > "$work/logs/$class.log" 2>&1 &
    running="$running $class:$!"
done
failed=0
for one in $running; do
    wait "${one#*:}" || failed=1
    echo "== ${one%%:*}"
    cat "$work/logs/${one%%:*}.log"
done
exit $failed
