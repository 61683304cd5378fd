#!/bin/sh
# foreign.sh DEB ARCH - tests a package for another architecture: its name and contents, lintian,
# whether apt would install it on this release of Debian, and its life in a root of that
# architecture, from installation to purge. Only the program itself is run from that root, by QEMU;
# the package's scripts support use from outside (DPKG_ROOT).
set -eu

deb=$(realpath "$1")
arch=$2
cd "$(dirname "$0")/../.."
work=$PWD/target/package/foreign-$arch
rm -rf "$work/root"
mkdir -p "$work"
case $arch in
    arm64) qemu="qemu-aarch64-static -cpu cortex-a53" class=ELF64 machine=AArch64 ;;
    armhf) qemu="qemu-arm-static -cpu arm1176" class=ELF32 machine=ARM ;;
    *) echo "foreign.sh: $arch: there is arm64 and armhf" >&2 && exit 64 ;;
esac
bad() {
    echo "foreign.sh: $deb: $*" >&2
    exit 65
}

echo "== $arch: names"
[ "$(dpkg-deb --field "$deb" Architecture)" = "$arch" ] || bad "is for $(dpkg-deb --field "$deb" Architecture)"
case $(basename "$deb") in *_"$arch".deb) ;; *) bad "has another architecture in its name" ;; esac
# Static: depends only on what its scripts need.
depends=$(dpkg-deb --field "$deb" Depends)
case $depends in *libc* | *libpcap*) bad "depends on $depends" ;; esac

echo "== $arch: lintian"
./tests/package/lint.sh "$deb"

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
echo "== $arch: apt of $suite"
: > "$work/nothing-installed"
apt() {
    ./debian/toolchain/apt.sh "$work/apt" "$suite" -- -qq -o "APT::Architecture=$arch" \
        -o "APT::Architectures::=$arch" -o "Dir::State::status=$work/nothing-installed" "$@"
}
apt update
apt --simulate install "$deb" > "$work/apt.log" || bad "apt would not install it"
grep "^Inst brightstat (.*\[$arch\])" "$work/apt.log" || bad "apt would not install it"

echo "== $arch: from installation to purge"
root=$work/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/etc" "$root/usr/bin"
: > "$root/var/lib/dpkg/status"
echo "root:x:0:0::/root:/bin/sh" > "$root/etc/passwd"
echo "root:x:0:" > "$root/etc/group"
on_root() { # the scripts use this machine's tools
    dpkg --root="$root" --force-script-chrootless --force-depends --log="$work/dpkg.log" "$@"
}
state() { dpkg-query --admindir="$root/var/lib/dpkg" --show --showformat '${Architecture} ${Status}' "brightstat:$arch" 2>/dev/null || true; }
on_root --add-architecture "$arch"
on_root --install "$deb" > "$work/install.log" 2>&1 || { cat "$work/install.log"; bad "does not install"; }
[ "$(state)" = "$arch install ok installed" ] || bad "after installation: $(state)"
readelf -h "$root/usr/bin/brightstat" > "$work/elf"
for line in "Class: *$class" "Machine: *$machine"; do
    grep -q "$line\$" "$work/elf" || bad "the program is $(cat "$work/elf")"
done
grep "^_brightstat:" "$root/etc/passwd" || bad "there is no user _brightstat"
[ -L "$root/etc/systemd/system/multi-user.target.wants/brightstat.service" ] || bad "the service is not enabled"
# shellcheck disable=SC2086
$qemu "$root/usr/bin/brightstat" --version
# shellcheck disable=SC2086
$qemu "$root/usr/bin/brightstat" check-config "$root/etc/brightstat/brightstat.toml"
mkdir -p "$root/var/lib/brightstat"
: > "$root/var/lib/brightstat/brightstat.db"
on_root --remove "brightstat:$arch" > "$work/remove.log" 2>&1 || { cat "$work/remove.log"; bad "cannot be removed"; }
[ -e "$root/var/lib/brightstat/brightstat.db" ] || bad "its removal takes the history along"
[ ! -e "$root/usr/bin/brightstat" ] || bad "its removal leaves the program"
on_root --purge "brightstat:$arch" > "$work/purge.log" 2>&1 || { cat "$work/purge.log"; bad "cannot be purged"; }
left=$(find "$root" -path "$root/var/lib/dpkg" -prune -o -name "*brightstat*" -print)
[ -z "$left" ] || bad "purged, it leaves $left"
echo "$arch: names, lintian, apt and dpkg are content"
