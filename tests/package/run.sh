#!/bin/sh
# run.sh DEB - all tests of the package: lintian, and its life on booted machines (test_package.py).
# again.sh, in make nightly, checks that two builds are the same.
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
