# The parts of the cross toolchain; the scripts beside this file read it.
# shellcheck shell=sh disable=SC2034
ZIG_VERSION=0.17.0
# Keep this at the newest release that a Debian mirror serves, even in testing or unstable:
# libpcap reads what strangers send. (On 2026-11-30, 1.11.0 was in the lists, but its source was
# not yet on the mirror.)
LIBPCAP_VERSION=1.10.5
LIBPCAP_SHA256=84fa89ac6d303028c1c5b754abff77224f45eca0a94eb1a34ff0aa9ceece3925
# Capture from network interfaces and files only.
LIBPCAP_OPTIONS="--disable-shared --with-pcap=linux --without-libnl --disable-usb --disable-bluetooth \
--disable-dbus --disable-rdma --enable-remote=no --without-dag --without-septel --without-snf \
--without-turbocap --without-dpdk --disable-netmap"
# The newest release, of 2023.
CROSS_VERSION=0.2.5
