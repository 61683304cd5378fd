#!/bin/sh
# apt.sh FOLDER SUITE... -- ARGUMENTS... - runs apt-get with other suites of Debian than this
# machine's, from this machine's mirror. Settings, lists and downloads stay in FOLDER. Nothing
# is installed, and the machine's own settings are only read.
set -eu

folder=$1
shift
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
folder=$(cd "$folder" && pwd)
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get indextargets --format "\$(RELEASE) \$(REPO_URI)" "Created-By: Packages" |
    awk -v codename="$codename" '$1 == codename { print $2; exit }')
if [ -z "$mirror" ]; then
    echo "apt.sh: this machine's apt has no source for Debian ($codename), so there is no mirror to ask." >&2
    exit 69
fi

: > "$folder/sources.list"
while [ "$1" != -- ]; do
    for kind in deb deb-src; do
        echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" >> "$folder/sources.list"
    done
    shift
done
shift

cat > "$folder/apt.conf" <<END
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$folder/lists";
Dir::Cache "$folder/cache";
APT::Sandbox::User "$(id -un)";
END
APT_CONFIG=$folder/apt.conf exec apt-get "$@"
