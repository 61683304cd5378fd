#!/bin/sh
# lint.sh DEB... - fails if lintian has any complaint, down to pedantic.
set -eu

said=$(mktemp)
trap 'rm -f "$said"' EXIT
for deb in "$@"; do
    # Debian 12's lintian wants an init.d script beside every unit; Debian 13's does not, and
    # reports an override of that as a mistake. As root it also warns on standard error.
    if ! lintian -EvIL +pedantic --fail-on error,warning,info,pedantic,experimental \
        --suppress-tags package-supports-alternative-init-but-no-init.d-script "$deb" > "$said" 2>&1; then
        cat "$said"
        echo "lint.sh: lintian has something to say of $deb" >&2
        exit 65
    fi
    echo "clean: $(basename "$deb")"
done
