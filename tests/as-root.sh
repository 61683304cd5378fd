#!/bin/sh
# as-root.sh COMMAND... - runs a command as root, with sudo if necessary.
set -eu

if [ "$(id -u)" = 0 ]; then
    exec "$@"
fi
if command -v sudo >/dev/null 2>&1; then
    exec sudo -- "$@"
fi
echo "This needs root: $*" >&2
echo "Run it as root, or install sudo." >&2
exit 77
