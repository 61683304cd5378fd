#!/bin/sh
# run.sh ARM64.deb ARMHF.deb - both images: made, looked into, and booted (test_boot.py).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
deb64=$(realpath "$1")
deb32=$(realpath "$2")
cd "$here/../.."
out=target/image
work=$out/test
mkdir -p "$work"
version=$(dpkg-deb --field "$deb64" Version)

for arch in arm64 armhf; do
    if [ "$arch" = arm64 ]; then deb=$deb64; else deb=$deb32; fi
    base=$out/base-debian-$arch.img
    image=$work/brightstat-$version-$arch-debian.img
    echo "== $arch: base, bake, check"
    [ -e "$base" ] || ./image/base-debian "$arch" "$base"
    time -p ./image/bake "$base" "$image" "$deb"
    # The packing is tested at its fastest: nobody flashes this one.
    LEVEL=0 ./image/manifest "$image" debian "$arch" "$version" > /dev/null
    ./image/check "$image" "$base"

    echo "== $arch: the same bytes again, by somebody who is not root, in another place and time zone"
    # In /var/tmp, as nobody may not look below the owner's home.
    again=$(mktemp -d /var/tmp/brightstat-bake-again-XXXXXX)
    trap 'rm -rf "$again"' EXIT
    cp -R image "$again/"
    cp --sparse=always "$base" "$again/base.img"
    cp "$deb" "$again/"
    chown -R nobody "$again"
    (cd "$again" && env -u FAKEROOTKEY HOME="$again" TZ=Asia/Tokyo setpriv --reuid=nobody --regid=nogroup --clear-groups \
        ./image/bake base.img again.img "$(basename "$deb")")
    cmp "$image" "$again/again.img"
    cmp "$image.files" "$again/again.img.files"
    rm -rf "$again"
    trap - EXIT
done

echo "== steps that refuse"
python3 -u "$here/test_steps.py"
echo "== booted"
exec python3 -u "$here/test_boot.py" --arm64 "$work/brightstat-$version-arm64-debian.img" \
    --armhf "$work/brightstat-$version-armhf-debian.img" --tools "$out/tools" --logs "$work/logs"
