#!/bin/sh
# setup.sh PREFIX DOWNLOADS - makes the C toolchain for both kinds of Pi in PREFIX, from the
# files that download.sh has put into DOWNLOADS: wrappers around `zig cc`, and a static libpcap.
# The way with containers (Dockerfile) and the way without (build.sh) both run this.
#
# Why not Debian's own cross compilers: its armhf means ARMv7. Its compiler links start-up code
# and libraries for ARMv7, whatever -march says. The first Pi and the Zero would end with
# "illegal instruction". Zig brings musl as source and compiles it for the exact CPU.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=debian/toolchain/pins.sh
. "$here/pins.sh"
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
downloads=$(cd "$2" && pwd)

inputs=$(cat "$here/setup.sh" "$here/pins.sh" "$here/requirements.txt" | sha256sum)
if [ "$(cat "$prefix/inputs" 2>/dev/null)" = "$inputs" ]; then
    exit 0
fi
echo "Making the toolchain for the Pi in $prefix"
cd "$prefix"
rm -rf inputs bin zig zig-cache licences build
mkdir -p "$prefix/bin" "$prefix/licences" "$prefix/build"

python3 - "$downloads/ziglang-$ZIG_VERSION-"*.whl "$prefix/build" <<'END'
import sys, zipfile
zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])
END
mv "$prefix/build/ziglang" "$prefix/zig"
chmod +x "$prefix/zig/zig"

# Relative to $0, so that the prefix may move (a container mounts it elsewhere).
for name in ar ranlib; do
    cat > "$prefix/bin/pi-$name" <<END
#!/bin/sh
exec "\$(dirname "\$0")/../zig/zig" $name "\$@"
END
done
compiler() { # NAME TARGET CPU BINUTILS
    cat > "$prefix/bin/pi-cc-$1" <<END
#!/bin/sh
# zig cc for one CPU. Rust's crates name the target, and sometimes the CPU, in words that Zig
# does not know; those are left out. A stripped program keeps an unstripped copy as
# PROGRAM.symbols, for debugging. Zig itself could strip, but would link other code.
set -eu
strip="" out="" before=""
for argument; do
    shift
    case \$argument in
        --target=* | -march=* | -mcpu=* | -mfpu=* | -mfloat-abi=*) continue ;;
        -Wl,--strip-*) strip=yes ;;
        *) set -- "\$@" "\$argument" ;;
    esac
    [ "\$before" != -o ] || out=\$argument
    before=\$argument
done
prefix=\$(dirname "\$0")/..
export ZIG_GLOBAL_CACHE_DIR="\${ZIG_GLOBAL_CACHE_DIR:-\$prefix/zig-cache}"
export ZIG_LOCAL_CACHE_DIR="\$ZIG_GLOBAL_CACHE_DIR"
"\$prefix/zig/zig" cc -target $2 -mcpu=$3 "\$@"
if [ -n "\$strip" ]; then
    mv "\$out" "\$out.symbols"
    $4-strip --strip-all -o "\$out" "\$out.symbols"
fi
END
}
# Every Raspberry Pi from the first to the Zero W has this CPU; all later ones run its code.
compiler armv6 arm-linux-musleabihf arm1176jzf_s arm-linux-gnueabihf
# The oldest 64-bit Pi; all later ones run its code.
compiler aarch64 aarch64-linux-musl cortex_a53 aarch64-linux-gnu
chmod +x "$prefix/bin/"*
PATH=$prefix/bin:$PATH

tar -C "$prefix/build" -xf "$downloads/libpcap_$LIBPCAP_VERSION.orig.tar.xz"
source=$(echo "$prefix/build/libpcap-"*)
pcap() { # NAME TRIPLE HOST
    rm -rf "${prefix:?}/$2"
    mkdir -p "$prefix/build/$2" "$prefix/$2"
    # shellcheck disable=SC2086
    if ! (
        cd "$prefix/build/$2"
        CC=pi-cc-$1 AR=pi-ar RANLIB=pi-ranlib CFLAGS="-O2 -ffile-prefix-map=$prefix=toolchain" \
            "$source/configure" --host="$3" --prefix="$prefix/$2" $LIBPCAP_OPTIONS
        env -u MAKEFLAGS -u MAKEOVERRIDES make -j"$(nproc)" libpcap.a
        install -D -m 644 libpcap.a "$prefix/$2/lib/libpcap.a"
    ) > "$prefix/build/$2.log" 2>&1; then
        tail -20 "$prefix/build/$2.log" >&2
        echo "setup.sh: libpcap could not be built; $prefix/build/$2.log has it all" >&2
        exit 70
    fi
}
pcap armv6 arm-unknown-linux-musleabihf arm-linux-musleabihf
pcap aarch64 aarch64-unknown-linux-musl aarch64-linux-musl

# The licences of what is linked into the program.
cp "$source/LICENSE" "$prefix/licences/libpcap-$LIBPCAP_VERSION"
cp "$prefix/zig/lib/libc/musl/COPYRIGHT" "$prefix/licences/musl"
cp "$prefix/zig/lib/libunwind/LICENSE.TXT" "$prefix/licences/llvm-libunwind"
cp "$prefix/zig/LICENSE" "$prefix/licences/zig-compiler-rt"
rm -rf "$prefix/build"
echo "$inputs" > "$prefix/inputs"
