#!/bin/sh
# std.sh FOLDER TRIPLE - prints the sysroot in which rustc finds Rust's std for TRIPLE, or
# nothing if that is its own. In this order:
#
# 1. the target's std is there (`rustup target add TRIPLE`): that one;
# 2. else it is built from its source, once, into FOLDER: from the source beside the compiler
#    (`rustup component add rust-src`), else from Debian's rust-src of exactly the compiler's
#    version, whichever suite has it. Without either, build.sh falls back to rustc-web.sh.
#
# rustup itself is never called: everything fetched here comes from Debian.
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
# cargo compares the path of a sysroot, not its content: another std needs another path.
inputs=$( ($rustc -vV && cat "$here/std.sh" "$top/.cargo/config.toml") | sha256sum | cut -c 1-12)
sysroot=$folder/sysroot-$inputs
done=$sysroot/lib/rustlib/$triple/done
if [ -e "$done" ]; then
    echo "std for $triple: built before, in $sysroot" >&2
    echo "$sysroot"
    exit 0
fi

# The names of std's parts in the program, and with them their order, depend on where their
# source lies, as cargo sees it from the compiler's sysroot. So the source gets a folder of its
# own, and a wrapper around rustc reports that folder to cargo as the sysroot.
std=$folder/std
library=$std/library
if [ "$(cat "$std/version" 2>/dev/null)" != "$version" ]; then
    rm -rf "$std"
    mkdir -p "$std/src" "$std/new"
    if [ -e "$own/lib/rustlib/src/rust/library/Cargo.lock" ]; then
        cp -r "$own/lib/rustlib/src/rust/library" "$library"
    else
        echo "Fetching the source of std $version with apt (45 MB)" >&2
        suites="trixie trixie-backports"
        # shellcheck disable=SC2086 # one word per suite
        if ! (
            "$here/apt.sh" "$folder/apt" $suites -- update -qq &&
                cd "$std/new" &&
                "$here/apt.sh" "$folder/apt" $suites -- download -qq "rust-src=$version*" &&
                dpkg-deb --fsys-tarfile rust-src_*.deb |
                tar -C "$std" -x --strip-components=4 "./usr/src/rustc-$version/library"
        ) >&2; then
            echo "std.sh: there is no std for $triple: Rust $version has come without it, and Debian ($suites)" >&2
            echo "    has no source of that very version. With rustup: rustup target add $triple" >&2
            exit 69
        fi
    fi
    rm -r "$std/new"
    echo "$version" > "$std/version"
fi

echo "Building std $version for $triple from $library" >&2
for old in "$folder/sysroot-"*; do
    [ "$old" = "$sysroot" ] || rm -rf "$old"
done
rm -rf "$std/target" "$sysroot/lib/rustlib/$triple"
mkdir -p "$sysroot/lib/rustlib/$triple/lib"
: > "$std/src/lib.rs"
cat > "$std/Cargo.toml" <<END
[package]
name = "std-for-the-pi"
edition = "2024"
[profile.release]
panic = "abort"
[workspace]
END
cat > "$std/rustc" <<END
#!/bin/sh
case " \$* " in *" --print=sysroot "*) set -- "\$@" "--sysroot=$std" ;; esac
exec $rustc "\$@"
END
chmod +x "$std/rustc"
# The flags of .cargo/config.toml apply here too, as the crate lies below it. Bitcode is for
# the link-time optimisation of the program. The bootstrap variable lets a stable compiler
# accept the flags that only std is built with. Paths are remapped as in cargo-release.sh.
home=${CARGO_HOME:-$HOME/.cargo}
(
    cd "$std"
    export RUSTC="$std/rustc" RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT="$library"
    cargo fetch --quiet --target "$triple" -Zbuild-std=std,panic_abort
    rust="'-Cembed-bitcode=yes', '--remap-path-prefix=$library=std'"
    for registry in "$home"/registry/src/*; do
        rust="$rust, '--remap-path-prefix=$registry=crates'"
    done
    cargo build --quiet --release --target "$triple" -Zbuild-std=std,panic_abort --target-dir target \
        --config "target.'cfg(all())'.rustflags=[$rust]"
) >&2
rm -f "$std/target/$triple/release/deps/"libstd_for_the_pi*
mv "$std/target/$triple/release/deps/"*.rlib "$sysroot/lib/rustlib/$triple/lib/"
rm -r "$std/target"
touch "$done"
echo "$sysroot"
