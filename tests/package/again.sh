#!/bin/sh
# again.sh DEB - rebuilds the package in another folder, whose name has a different length, and
# compares it with DEB to the bit.
set -eu

deb=$(realpath "$1")
cd "$(dirname "$0")/../.."
top=$PWD
# The crates and the page's packages are reused.
again=$(mktemp -d /var/tmp/brightstat-again-in-another-folder-XXXXXX)
trap 'rm -rf "$again"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference --target-directory="$again"
cp -R "$top/src/web/ui/node_modules" "$again/src/web/ui/"
touch "$again/src/web/ui/node_modules/.package-lock.json"
# The commit in the binary must not cause a difference.
commit=$(target/release/brightstat --version | sed -n 's/.*(\([^ ,)]*\).*/\1/p')
(cd "$again" && BRIGHTSTAT_COMMIT="$commit" make --no-print-directory deb)
sha256sum "$deb" "$again/target/deb/$(basename "$deb")"
cmp "$deb" "$again/target/deb/$(basename "$deb")"
