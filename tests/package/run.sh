#!/bin/sh
# run.sh DEB - everything that is tested of the package: lintian, two builds, and its life on
# booted machines (test_package.py).
set -eu

deb=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top"
work=target/package
mkdir -p "$work"

echo "== lintian"
"$here/lint.sh" "$deb"

echo "== the same package from another folder"
# A name of another length, in another place. The crates and the page's packages are there.
again=$(mktemp -d /var/tmp/brightstat-again-in-another-folder-XXXXXX)
trap 'rm -rf "$again"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference --target-directory="$again"
cp -R "$top/src/web/ui/node_modules" "$again/src/web/ui/"
touch "$again/src/web/ui/node_modules/.package-lock.json"
# What the binary says of its source must not be what makes them differ.
commit=$(target/release/brightstat --version | sed -n 's/.*(\([^ ,)]*\).*/\1/p')
(cd "$again" && BRIGHTSTAT_COMMIT="$commit" make --no-print-directory deb) > "$work/again.log" 2>&1 || {
    tail -30 "$work/again.log"
    exit 70
}
sha256sum "$deb" "$again/target/deb/$(basename "$deb")"
cmp "$deb" "$again/target/deb/$(basename "$deb")"

echo "== on booted machines"
"$here/roots.sh" "$work/roots"
exec python3 -u "$here/test_package.py" --deb "$deb" --roots "$work/roots" --logs "$work/logs"
