#!/bin/sh
# screenshots.sh BINARY - takes pictures of every view into target/screenshots: of a daemon with two
# months of synthetic history (tests/bench/history.rs) and synthetic live traffic, in network
# namespaces of its own. Needs root.
set -eu

binary=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
out=$(realpath "${CARGO_TARGET_DIR:-target}")/screenshots
one="bsshot$$-rx"
other="bsshot$$-tx"
work=$(mktemp -d)
mkdir -p "$out"
pids=""
clean_up() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
    done
    ip netns del "$one" 2>/dev/null || true
    ip netns del "$other" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

echo "making two months of history"
BRIGHTSTAT_DEMO="$work/brightstat.db" "$here/cargo-as-root.sh" bench --quiet --locked --bench history
ip netns add "$one"
ip netns add "$other"
for namespace in "$one" "$other"; do
    ip netns exec "$namespace" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
    ip -n "$namespace" link set lo up
done
ip -n "$one" link add eth0 type veth peer name send0 netns "$other"
ip -n "$one" link set eth0 up
ip -n "$other" link set send0 up
cat >"$work/brightstat.toml" <<'C'
[capture]
interfaces = ["eth0"]
[network]
local = ["192.168.1.0/24", "fd00::/64"]
C
chmod 777 "$work"
chmod 666 "$work/brightstat.db"
ip netns exec "$one" "$binary" run --config "$work/brightstat.toml" \
    --database "$work/brightstat.db" --listen 127.0.0.1:667 2>"$work/log" &
pids="$pids $!"
ip netns exec "$other" python3 "$here/made_up_traffic.py" send0 600 &
pids="$pids $!"
echo "five minutes of traffic, so that there is something to see"
sleep 310
ip netns exec "$one" node "$here/../src/web/ui/test/screenshots.mjs" http://127.0.0.1:667/ "$out"
echo "the pictures are in $out"
