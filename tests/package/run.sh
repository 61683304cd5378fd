#!/bin/sh
# run.sh DEB - everything that is tested of the package: lintian, and its life on booted
# machines (test_package.py). That two builds are the same is again.sh's, in make nightly.
set -eu

deb=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top"
work=target/package
mkdir -p "$work"

echo "== lintian"
"$here/lint.sh" "$deb"

echo "== on booted machines"
"$here/roots.sh" "$work/roots"
exec python3 -u "$here/test_package.py" --deb "$deb" --roots "$work/roots" --logs "$work/logs"
