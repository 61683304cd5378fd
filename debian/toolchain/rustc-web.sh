#!/bin/sh
# rustc-web.sh FOLDER - prints the path of the rustc that Debian keeps current for its browsers,
# with the source of its std: for a toolchain whose own std for the Pis is not available. It is
# unpacked into FOLDER once, as its package conflicts with another Rust.
set -eu

mkdir -p "$1"
folder=$(cd "$1" && pwd)
root=$folder/rustc-web
if [ ! -x "$root/rustc" ]; then
    echo "Fetching rustc-web with apt (130 MB)" >&2
    rm -rf "$root"
    mkdir -p "$root/new"
    cd "$root/new"
    packages=$(apt-get --simulate --no-install-recommends -o Dir::State::status=/dev/null \
        install rustc-web rust-web-src | sed -nE 's/^Inst ((rustc-web|rust-web-src|libstd-rust-web|libllvm)\S*) .*/\1/p')
    # shellcheck disable=SC2086 # one word per package
    apt-get download -qq $packages >&2
    for package in *.deb; do
        dpkg-deb -x "$package" "$root"
    done
    cd "$root"
    rm -r "$root/new"
    # The package's link leads to this machine's own /usr/src.
    mkdir -p usr/lib/rustlib/src
    ln -sfn "../../../src/$(ls usr/src)" usr/lib/rustlib/src/rust
    cat > rustc.new <<END
#!/bin/sh
LD_LIBRARY_PATH=\$(echo "$root/usr/lib/"*-linux-gnu) exec "$root/usr/bin/rustc" "\$@"
END
    chmod +x rustc.new
    ./rustc.new --version >&2
    mv rustc.new rustc
fi
echo "$root/rustc"
