#!/bin/sh
# lint.sh DEB... - fails if lintian has any complaint, down to pedantic, or if a word in the sources
# is on its list of misspelt words.
set -eu

top=$(dirname "$0")/../..

said=$(mktemp)
trap 'rm -f "$said"' EXIT

# The list is applied to the sources, because it cannot be to the program: Rust ends no string with
# a NUL, so neighbours in memory become words ("protocol" and "l..."), others in every build.
find "$top/src" "$top/tests" "$top/docs" "$top/debian/changelog" "$top/debian/control" "$top"/*.md \
    -name node_modules -prune -o -name "*.snap" -prune -o -type f \
    \( -name "*.rs" -o -name "*.md" -o -name "*.toml" -o -name "*.ts" -o -name "*.html" -o -path "$top/debian/*" \) -print0 |
    xargs -0 spellintian > "$said"
if grep -v '(duplicate word)' "$said"; then
    echo "lint.sh: correct these words" >&2
    exit 65
fi
for deb in "$@"; do
    # Debian 12's lintian wants an init.d script beside every unit; Debian 13's does not, and
    # reports an override of that as a mistake. As root it also warns on standard error.
    if ! lintian -EvIL +pedantic --fail-on error,warning,info,pedantic,experimental \
        --suppress-tags package-supports-alternative-init-but-no-init.d-script \
        --suppress-tags spelling-error-in-binary "$deb" > "$said" 2>&1; then
        cat "$said"
        echo "lint.sh: lintian has something to say of $deb" >&2
        exit 65
    fi
    echo "clean: $(basename "$deb")"
done
