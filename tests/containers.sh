#!/bin/sh
# containers.sh ARCH BINARY - builds the program for a Pi by the way with containers, and
# compares it with BINARY, which the way without them has built.
#
# As no registry of images and no rustup server may be reached from where this runs: the base
# image is made here from Debian's packages, `cross` and the std come as source. All that
# this makes stays below target/.
set -eu

cd "$(dirname "$0")/.."
arch=$1
binary=$2
top=$PWD
# shellcheck source=debian/toolchain/pins.sh
. debian/toolchain/pins.sh
./tests/need.sh podman:podman runc:runc mmdebstrap:mmdebstrap
if [ "$(id -u)" != 0 ]; then
    exec ./tests/as-root.sh env PATH="$PATH" HOME="$HOME" "$0" "$@"
fi

tools=$top/target/toolchain/cross-$CROSS_VERSION
if [ ! -x "$tools/bin/cross" ]; then
    echo "Building cross $CROSS_VERSION"
    cargo install --quiet --locked --version "$CROSS_VERSION" --root "$tools" cross
fi

# A container engine of our own: its storage and settings are nobody else's.
work=$top/target/containers
mkdir -p "$work/run" "$work/bin"
export CONTAINERS_CONF="$work/containers.conf" CONTAINERS_STORAGE_CONF="$work/storage.conf"
cat > "$CONTAINERS_CONF" <<END
[containers]
netns = "host"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
END
cat > "$CONTAINERS_STORAGE_CONF" <<END
[storage]
driver = "overlay"
graphroot = "$work/storage"
runroot = "$work/run"
END
base=debian:bookworm-slim
if ! podman image exists "$base"; then
    echo "Making the base image $base"
    mirror=$(apt-get indextargets --format "\$(REPO_URI)" "Created-By: Packages" "Release: bookworm" | head -n 1)
    mmdebstrap --quiet --variant=apt bookworm "$work/base.tar" ${mirror:+"$mirror"}
    podman import --quiet "$work/base.tar" "$base" >/dev/null
    rm "$work/base.tar"
fi

# cross asks rustup which toolchains there are, does not understand the answer of newer ones,
# and would have it fetch one. So it gets an answer that it understands, and nothing else.
sysroot=$(rustc --print sysroot)
cat > "$work/bin/rustup" <<END
#!/bin/sh
if [ "\$*" = "toolchain list" ]; then
    echo "$(basename "$sysroot")"
else
    echo "rustup \$*: nothing is fetched here" >&2
    exit 1
fi
END
chmod +x "$work/bin/rustup"

cp "$binary" "$work/other"
PATH="$work/bin:$tools/bin:$sysroot/bin:$PATH" \
    CROSS_CONTAINER_ENGINE=podman CROSS_CUSTOM_TOOLCHAIN=1 CARGO_NET_OFFLINE=true \
    CROSS_BUILD_OPTS="--volume $top/target/toolchain/downloads:/opt/downloads:ro" \
    ./debian/toolchain/build.sh "$arch" cross
if cmp "$work/other" "$binary"; then
    echo "Both ways have made the same program for $arch: $(sha256sum < "$binary" | cut -c 1-16)"
else
    ls -l "$work/other" "$binary" >&2
    echo "containers.sh: the two ways have made different programs for $arch" >&2
    exit 1
fi
