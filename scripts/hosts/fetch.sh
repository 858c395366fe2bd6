#!/usr/bin/env bash
# Fetches Debian's packages, with all that they depend on, as a host of this tree would, and makes a folder that apt can read.
# usage: fetch.sh TREE FOLDER PACKAGE...
set -euo pipefail
tree=$1 folder=$2
shift 2

mount --make-rprivate /
mkdir "$folder/disk" "$folder/work" "$folder/root" "$folder/packages"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$folder/disk,workdir=$folder/work" "$folder/root"
cp "$(dirname "$tree")"/sources.list "$folder/root/etc/apt/sources.list"
cp "$(dirname "$tree")"/apt.conf "$folder/root/etc/apt/apt.conf.d/99fetch"
cp /etc/resolv.conf /etc/hosts "$folder/root/etc/"
mount --bind "$folder/packages" "$folder/root/var/cache/apt/archives"
mkdir "$folder/packages/partial"
chroot "$folder/root" apt-get update -qq
chroot "$folder/root" apt-get install -qq --yes --download-only --no-install-recommends "$@"
umount "$folder/root/var/cache/apt/archives" "$folder/root"
cd "$folder/packages"
rm -rf partial lock
dpkg-scanpackages --multiversion . > Packages
