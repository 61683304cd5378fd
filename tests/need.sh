#!/bin/sh
# need.sh COMMAND-OR-FILE:PACKAGE... - installs the Debian packages of everything that is missing.
set -eu

missing=""
for need in "$@"; do
    what=${need%%:*}
    package=${need#*:}
    # Debian keeps daemons in /usr/sbin, which is not in every PATH.
    if [ -e "$what" ] || command -v "$what" >/dev/null 2>&1 || [ -x "/usr/sbin/$what" ]; then
        continue
    fi
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "brightstat needs these Debian packages and installs them now:$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "This is not Debian: there is no apt-get. Install the equivalents of:$missing" >&2
    exit 69
fi
here=$(dirname "$0")
"$here/as-root.sh" apt-get update -qq
# shellcheck disable=SC2086 # one word per package
"$here/as-root.sh" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
