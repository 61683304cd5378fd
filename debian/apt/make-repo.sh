#!/bin/sh
# make-repo.sh KEY URL TO DEB... - makes an apt repository of static files below TO.
#
# KEY is the fingerprint (or address) of a signing key in the owner's gpg keyring (of GNUPGHOME,
# if set). URL is where TO will be published. Every package goes into each of the releases; the
# keyring packages, which set apt up on a user's machine, are made here.
# The lists are valid for VALID days (90): apt refuses older ones, so that nobody can hold a
# machine back on an old version by serving an old copy. Make the repository again before then.
# TO/.reprepro holds the state; put everything else on a web server as it is.
set -eu

RELEASES="bookworm trixie"
ARCHITECTURES="amd64 arm64 armhf"

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 4 ]; then
    echo "Usage: make-repo.sh KEY URL TO DEB..." >&2
    exit 64
fi
key=$1
url=${2%/}
to=$3
shift 3
fingerprint=$(gpg --batch --with-colons --list-secret-keys "$key" 2>/dev/null |
    awk -F: '$1 == "fpr" { print $10; exit }')
if [ -z "$fingerprint" ]; then
    echo "make-repo.sh: there is no secret key '$key' in the gpg keyring; see 'gpg --list-secret-keys'," >&2
    echo "or make one: gpg --quick-generate-key 'brightstat archive <you@example.org>' ed25519 sign" >&2
    exit 66
fi

mkdir -p "$to/.reprepro/conf"
to=$(cd "$to" && pwd)
for release in $RELEASES; do
    cat <<END

Origin: brightstat
Label: brightstat
Suite: $release
Codename: $release
Architectures: $ARCHITECTURES
Components: main
Description: brightstat, see your network
ValidFor: ${VALID:-90}d
SignWith: $fingerprint
END
done > "$to/.reprepro/conf/distributions"

reprepro() {
    command reprepro --silent --basedir "$to/.reprepro" --outdir "$to" "$@"
}
for release in $RELEASES; do
    "$here/make-keyring.sh" "$fingerprint" "$url" "$release" "$to/brightstat-archive-keyring-$release.deb"
    # Replace packages of the same version: the given packages make the repository.
    for deb in "$to/brightstat-archive-keyring-$release.deb" "$@"; do
        reprepro remove "$release" "$(dpkg-deb --field "$deb" Package)"
    done
done
reprepro deleteunreferenced
for release in $RELEASES; do
    for deb in "$to/brightstat-archive-keyring-$release.deb" "$@"; do
        reprepro --ignore=extension includedeb "$release" "$deb"
    done
done
# Sign a release again even if its packages have not changed: its lists expire.
reprepro export
gpg --batch --export "$fingerprint" > "$to/brightstat-archive-keyring.pgp"
echo "$to: a repository for $RELEASES, signed by $fingerprint, valid for ${VALID:-90} days"
