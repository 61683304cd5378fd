#!/bin/sh
# make-keyring.sh FINGERPRINT URL RELEASE DEB - makes brightstat-archive-keyring for a release.
#
# It sets apt up on a user's machine: the key, the source, and the setting for
# unattended-upgrades. To change the key, ship the new one beside the old one here.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
fingerprint=$1
url=$2
release=$3
deb=$4
version=$(dpkg-parsechangelog --file "$here/../changelog" --show-field Version)
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog --file "$here/../changelog" --show-field Timestamp)
export SOURCE_DATE_EPOCH
maintainer=$(sed -n 's/^Maintainer: //p' "$here/../control")

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
umask 022
mkdir -p "$tree/DEBIAN" "$tree/usr/share/keyrings" "$tree/etc/apt/sources.list.d" \
    "$tree/etc/apt/apt.conf.d" "$tree/etc/apt/preferences.d" "$tree/usr/share/doc/brightstat-archive-keyring"
gpg --batch --export "$fingerprint" > "$tree/usr/share/keyrings/brightstat-archive-keyring.pgp"
cat > "$tree/etc/apt/sources.list.d/brightstat.sources" <<END
Types: deb
URIs: $url
Suites: $release
Components: main
Signed-By: /usr/share/keyrings/brightstat-archive-keyring.pgp
END
cat > "$tree/etc/apt/apt.conf.d/51brightstat-unattended-upgrades" <<'END'
// Where unattended-upgrades is installed, it upgrades brightstat as well. To have it ask you
// first, put // before the next line.
Unattended-Upgrade::Origins-Pattern:: "origin=brightstat,codename=${distro_codename}";
END
# The key is good for brightstat alone: without this, the repository could replace any package.
cat > "$tree/etc/apt/preferences.d/brightstat.pref" <<'END'
Package: *
Pin: release o=brightstat
Pin-Priority: -1

Package: brightstat brightstat-*
Pin: release o=brightstat
Pin-Priority: 500
END
doc="$tree/usr/share/doc/brightstat-archive-keyring"
cp "$here/../copyright" "$doc/copyright"
gzip -9nc "$here/../changelog" > "$doc/changelog.gz"
mkdir -p "$tree/usr/share/lintian/overrides"
cat > "$tree/usr/share/lintian/overrides/brightstat-archive-keyring" <<END
# That is what it is for: a repository outside Debian's, whose owner ships this package.
brightstat-archive-keyring: package-installs-apt-sources [etc/apt/sources.list.d/brightstat.sources]
# It restricts that repository to brightstat.
brightstat-archive-keyring: package-installs-apt-preferences [etc/apt/preferences.d/brightstat.pref]
END
(cd "$tree" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) > "$tree/DEBIAN/md5sums"
printf '/etc/apt/sources.list.d/brightstat.sources\n/etc/apt/apt.conf.d/51brightstat-unattended-upgrades\n/etc/apt/preferences.d/brightstat.pref\n' \
    > "$tree/DEBIAN/conffiles"
cat > "$tree/DEBIAN/control" <<END
Package: brightstat-archive-keyring
Version: $version+$release
Architecture: all
Maintainer: $maintainer
Section: misc
Priority: optional
Description: apt source and signing key of brightstat's packages
 Makes 'apt install brightstat' work, and 'apt upgrade' keep it up to date. The
 key counts for this source only, and this source for brightstat only.
END
find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
dpkg-deb --root-owner-group --build "$tree" "$deb" > /dev/null
