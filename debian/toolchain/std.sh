#!/bin/sh
# std.sh FOLDER TRIPLE - prints the sysroot in which rustc finds Rust's std for TRIPLE, or
# nothing if that is its own. In this order:
#
# 1. the target's std is there (`rustup target add TRIPLE`): that one;
# 2. else it is built from its source, once, into FOLDER: from the source beside the compiler
#    (`rustup component add rust-src`), else from Debian's rust-src of exactly the compiler's
#    version, whichever suite has it.
#
# rustup itself is never called: what is fetched here comes from Debian.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
triple=$2
cd "$top" # rustup chooses the toolchain by folder
rustc=${RUSTC:-rustc}
own=$($rustc --print sysroot)
if ls "$own/lib/rustlib/$triple/lib/"libstd-*.rlib >/dev/null 2>&1; then
    echo "std for $triple: the one that came with Rust" >&2
    exit 0
fi

mkdir -p "$1"
folder=$(cd "$1" && pwd)
version=$($rustc -vV | sed -n 's/^release: //p')
# cargo looks at the path of a sysroot, not at what is in it: another std is another path.
inputs=$( ($rustc -vV && cat "$here/std.sh" "$top/.cargo/config.toml") | sha256sum | cut -c 1-12)
sysroot=$folder/sysroot-$inputs
done=$sysroot/lib/rustlib/$triple/done
if [ -e "$done" ]; then
    echo "std for $triple: built before, in $sysroot" >&2
    echo "$sysroot"
    exit 0
fi

library=$own/lib/rustlib/src/rust/library
if [ ! -e "$library/Cargo.lock" ]; then
    library=$folder/rust-src-$version/usr/src/rustc-$version/library
fi
if [ ! -e "$library/Cargo.lock" ]; then
    echo "Fetching the source of std $version with apt (45 MB)" >&2
    suites="trixie trixie-backports"
    rm -rf "$folder/rust-src-$version" "$folder/new"
    mkdir -p "$folder/new"
    # shellcheck disable=SC2086
    if ! (
        "$here/apt.sh" "$folder/apt" $suites -- update -qq
        cd "$folder/new"
        "$here/apt.sh" ../apt $suites -- download -qq "rust-src=$version*"
        mkdir "$folder/rust-src-$version"
        dpkg-deb --fsys-tarfile rust-src_*.deb |
            tar -C "$folder/rust-src-$version" -x "./usr/src/rustc-$version/library"
    ) >&2; then
        rm -rf "$folder/rust-src-$version"
        echo "std.sh: there is no std for $triple: Rust $version has come without it, and Debian ($suites)" >&2
        echo "    has no source of that very version. With rustup: rustup target add $triple" >&2
        exit 69
    fi
    rm -r "$folder/new"
fi

echo "Building std $version for $triple from $library" >&2
crate=$folder/std-$triple
for old in "$folder/sysroot-"*; do
    [ "$old" = "$sysroot" ] || rm -rf "$old"
done
rm -rf "$crate" "$sysroot/lib/rustlib/$triple"
mkdir -p "$crate/src" "$sysroot/lib/rustlib/$triple/lib"
: > "$crate/src/lib.rs"
cat > "$crate/Cargo.toml" <<END
[package]
name = "std-for-the-pi"
edition = "2024"
[profile.release]
panic = "abort"
[workspace]
END
# The flags of .cargo/config.toml hold here too, as the crate lies below it. Bitcode is for
# the link-time optimisation of the program. The bootstrap variable lets a stable compiler
# take the flags that std, and only std, is built with. Paths go as in cargo-release.sh.
home=${CARGO_HOME:-$HOME/.cargo}
(
    cd "$crate"
    export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT="$library"
    cargo fetch --quiet --target "$triple" -Zbuild-std=std,panic_abort
    rust="'-Cembed-bitcode=yes', '--remap-path-prefix=$library=std'"
    for registry in "$home"/registry/src/*; do
        rust="$rust, '--remap-path-prefix=$registry=crates'"
    done
    cargo build --quiet --release --target "$triple" -Zbuild-std=std,panic_abort --target-dir target \
        --config "target.'cfg(all())'.rustflags=[$rust]"
) >&2
rm -f "$crate/target/$triple/release/deps/"libstd_for_the_pi*
mv "$crate/target/$triple/release/deps/"*.rlib "$sysroot/lib/rustlib/$triple/lib/"
rm -r "$crate"
touch "$done"
echo "$sysroot"
