#!/bin/sh
# again.sh DEB - builds the package once more, in a folder with a name of another length and
# in another place, and compares it with DEB to the bit.
set -eu

deb=$(realpath "$1")
cd "$(dirname "$0")/../.."
top=$PWD
# The crates and the page's packages are there.
again=$(mktemp -d /var/tmp/brightstat-again-in-another-folder-XXXXXX)
trap 'rm -rf "$again"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference --target-directory="$again"
cp -R "$top/src/web/ui/node_modules" "$again/src/web/ui/"
touch "$again/src/web/ui/node_modules/.package-lock.json"
# What the binary says of its source must not be what makes them differ.
commit=$(target/release/brightstat --version | sed -n 's/.*(\([^ ,)]*\).*/\1/p')
(cd "$again" && BRIGHTSTAT_COMMIT="$commit" make --no-print-directory deb)
sha256sum "$deb" "$again/target/deb/$(basename "$deb")"
cmp "$deb" "$again/target/deb/$(basename "$deb")"
