#!/bin/sh
# containers.sh ARCH BINARY - builds the program for a Pi in containers, and compares it with
# BINARY, which was built without containers.
#
# Neither a registry of images nor a rustup server may be reachable here. So this builds the base
# image from Debian's packages, and `cross` and std from source. Everything that it creates stays
# below target/.
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

# A separate container engine: nobody else uses its storage and settings.
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

# cross asks rustup for the installed toolchains, does not understand the answer of newer versions,
# and would make it fetch one. This stand-in gives an answer that it understands.
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
