#!/bin/sh
# run.sh ARM64.deb ARMHF.deb - builds, inspects and boots both images (test_boot.py).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
deb64=$(realpath "$1")
deb32=$(realpath "$2")
cd "$here/../.."
out=target/image
work=$out/test
mkdir -p "$work"
version=$(dpkg-deb --field "$deb64" Version)

echo "== an apt repository with a newer package, signed by a key for this test"
# The guest finds it on a separate disk, at /srv.
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
gpg --batch --quiet --passphrase "" --quick-generate-key "test@brightstat.example" ed25519 sign
rm -rf "$work/apt" "$work/newer" "$work/apt.img"
dpkg-deb --raw-extract "$deb64" "$work/newer"
sed -i "s/^Version: .*/Version: $version+newer/" "$work/newer/DEBIAN/control"
dpkg-deb --root-owner-group --build "$work/newer" "$work/brightstat_$version+newer_arm64.deb" > /dev/null
./debian/apt/make-repo.sh test@brightstat.example file:/srv "$work/apt" "$work/brightstat_$version+newer_arm64.deb"
mke2fs -q -t ext4 -L apt -d "$work/apt" "$work/apt.img" 64M

for arch in arm64 armhf; do
    if [ "$arch" = arm64 ]; then deb=$deb64; else deb=$deb32; fi
    base=$out/base-debian-$arch.img
    image=$work/brightstat-$version-$arch-debian.img
    echo "== $arch: base, bake, check"
    [ -e "$base" ] || ./image/base-debian "$arch" "$base"
    release=$(debugfs -R "cat /usr/lib/os-release" "$base?offset=$((520 << 20))" 2> /dev/null | sed -n 's/^VERSION_CODENAME=//p')
    keyring=$work/apt/brightstat-archive-keyring-$release.deb
    begin=$(date +%s)
    ./image/bake "$base" "$image" "$deb" "$keyring"
    echo "baked in $(($(date +%s) - begin)) s"
    # Tested with the fastest compression: nobody flashes this one.
    LEVEL=0 ./image/manifest "$image" debian "$arch" "$version" > /dev/null
    ./image/check "$image" "$base"

    echo "== $arch: the same bytes again, by somebody who is not root, in another place and time zone"
    # In /var/tmp, because `nobody` may not read below the owner's home.
    again=$(mktemp -d /var/tmp/brightstat-bake-again-XXXXXX)
    cp -R image "$again/"
    cp --sparse=always "$base" "$again/base.img"
    cp "$deb" "$keyring" "$again/"
    chown -R nobody "$again"
    (cd "$again" && env -u FAKEROOTKEY HOME="$again" TZ=Asia/Tokyo setpriv --reuid=nobody --regid=nogroup --clear-groups \
        ./image/bake base.img again.img "$(basename "$deb")" "$(basename "$keyring")")
    cmp "$image" "$again/again.img"
    cmp "$image.files" "$again/again.img.files"
    rm -rf "$again"
done

echo "== steps that refuse"
python3 -u "$here/test_steps.py"
echo "== booted"
python3 -u "$here/test_boot.py" --arm64 "$work/brightstat-$version-arm64-debian.img" \
    --armhf "$work/brightstat-$version-armhf-debian.img" --repository "$work/apt.img" --tools "$out/tools" --logs "$work/logs"
