#!/bin/sh
# Makes a root file system with Debian's Python from its packages alone: no bootstrap, no chroot, nothing is run.
# Usage: debian_base.sh FILE.tar
set -eu
target=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/packages" "$work/root"
cd "$work/packages"
apt=
for package in base-files libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libbz2-1.0 liblzma5 libffi8 libuuid1 libcrypt1 media-types netbase \
  libssl3 libsqlite3-0 libpython3.11-minimal libpython3.11-stdlib python3.11-minimal python3.11 python3-minimal; do
  apt="$apt $package"
done
# shellcheck disable=SC2086  # one word a package
apt-get download -q $apt >/dev/null 2>&1 || { apt-get update -q >/dev/null && apt-get download -q $apt >/dev/null; }
for package in *.deb; do
  dpkg-deb -x "$package" "$work/root"
done
rm -rf "$work/root/usr/share/doc" "$work/root/usr/share/man" "$work/root/usr/share/locale" "$work/root/usr/share/lintian"
mkdir -p "$work/root/tmp" "$work/root/proc" "$work/root/sys" "$work/root/dev" "$work/root/run" "$work/root/etc"
chmod 1777 "$work/root/tmp"
tar -C "$work/root" --owner=0 --group=0 --numeric-owner --sort=name --mtime=@0 -cf "$target" .
