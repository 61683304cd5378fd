#!/bin/sh
# lint.sh DEB... - nothing for lintian to say, down to pedantic.
set -eu

said=$(mktemp)
trap 'rm -f "$said"' EXIT
for deb in "$@"; do
    # Debian 12's lintian wants an init.d script beside every unit; Debian 13's no longer does,
    # and takes an override of that for a mistake. On standard error it would rather not be root.
    if ! lintian -EvIL +pedantic --fail-on error,warning,info,pedantic,experimental \
        --suppress-tags package-supports-alternative-init-but-no-init.d-script "$deb" > "$said" 2>&1; then
        cat "$said"
        echo "lint.sh: lintian has something to say of $deb" >&2
        exit 65
    fi
    echo "clean: $(basename "$deb")"
done
