#!/bin/sh
# reproducible.sh ARCH BINARY - rebuilds the program from nothing, in another folder whose name has
# a different length and with another home of cargo's, and compares it with BINARY to the bit. For a
# Pi that includes the toolchain and std; only downloads are shared.
set -eu

cd "$(dirname "$0")/.."
arch=$1
binary=$2
top=$PWD
home=${CARGO_HOME:-$HOME/.cargo}
elsewhere=$top/target/elsewhere
project=$elsewhere/a/folder/with/a/much/longer/name
rm -rf "$elsewhere"
mkdir -p "$project/target/toolchain" "$elsewhere/cargo/registry"

# The commit that the build script would find here; the copy has no repository.
commit=$("$binary" --version 2>/dev/null || ./target/release/brightstat --version)
commit=${commit#*\(}
commit=${commit%,*}
git ls-files -z | xargs -0 cp --parents --no-dereference --target-directory "$project"
cp -r src/web/ui/dist "$project/src/web/ui/"
ln -s "$home/registry/index" "$home/registry/cache" "$elsewhere/cargo/registry/"
if [ -d target/toolchain/downloads ]; then
    ln -s "$top/target/toolchain/downloads" "$project/target/toolchain/downloads"
fi
if [ -d target/toolchain/rust/std/library ]; then
    mkdir -p "$project/target/toolchain/rust/std/src"
    cp -r target/toolchain/rust/std/library target/toolchain/rust/std/version "$project/target/toolchain/rust/std/"
fi

(
    cd "$project"
    unset MAKEFLAGS MAKEOVERRIDES
    CARGO_HOME=$elsewhere/cargo BRIGHTSTAT_COMMIT=$commit ./debian/toolchain/build.sh "$arch" host
)
again=$project/${binary#"$top"/}
if cmp "$binary" "$again"; then
    echo "The same from another folder, for $arch: $(sha256sum < "$binary" | cut -c 1-16)"
    rm -rf "$elsewhere"
else
    ls -l "$binary" "$again" >&2
    echo "reproducible.sh: two builds for $arch differ (diffoscope tells where)" >&2
    exit 1
fi
