#!/bin/sh
# Runs the README's first command and the tests in a fresh Debian system: debootstrap's smallest, with git,
# nodejs and npm. This finds packages that test/run.sh does not install, and tests that depend on the
# machine they were written on. It is not part of CI, because it takes as long as the tests, and 3 GB.
#
#   tools/clean_root.sh DIR             compile.sh, the README's first run, test/run.sh
#   tools/clean_root.sh DIR FILE…       the same with these test files alone
#   tools/clean_root.sh DIR -- COMMAND  COMMAND in the checkout instead of the above
#
# DIR/base is made once and kept; DIR/root is a fresh copy of it for each run. The script tests a clone of
# HEAD in root's home, which other users cannot enter. It needs root, debootstrap and unshare.
# DEBIAN_MIRROR and DEBIAN_SUITE (bookworm) choose the source of the packages. The system there trusts the
# certificates that this machine trusts (SSL_CERT_FILE), so that a proxy works there too.
set -eu

fail() {
  echo "clean_root.sh: $*" >&2
  exit 1
}

[ $# -ge 1 ] || { echo 'usage: clean_root.sh DIR [FILE… | -- COMMAND…]' >&2; exit 100; }
[ "$(id -u)" = 0 ] || fail 'unable to make a root folder: run it as root'
command -v debootstrap >/dev/null || fail 'unable to run debootstrap: install the package debootstrap'

home=$(cd -- "$(dirname -- "$0")/.." && pwd -P)
mkdir -p -- "$1"
dir=$(cd -- "$1" && pwd -P)
shift
base=$dir/base
root=$dir/root

if [ "${CLEAN_ROOT_INSIDE-}" != yes ]; then
  # The mounts are in a namespace of their own, so that they end with this script.
  CLEAN_ROOT_INSIDE=yes exec unshare --mount --propagation private -- "$0" "$dir" "$@"
fi

# enter ROOT COMMAND…: runs it there, without our environment.
enter() {
  into=$1
  shift
  env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    npm_config_cafile=/etc/ssl/certs/ca-certificates.crt \
    chroot "$into" "$@"
}

if ! [ -e "$base/.made" ]; then
  rm -rf -- "$base"
  # Word splitting is meant: no mirror is no argument.
  # shellcheck disable=SC2086
  debootstrap --variant=minbase "${DEBIAN_SUITE:-bookworm}" "$base" ${DEBIAN_MIRROR-}
  mkdir -p "$base/etc/ssl/certs"
  cp -L -- "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$base/etc/ssl/certs/ca-certificates.crt"
  cp -L /etc/resolv.conf "$base/etc/resolv.conf"
  enter "$base" apt-get -qq update
  enter "$base" apt-get -qq -y --no-install-recommends install git nodejs npm
  cp -L -- "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$base/etc/ssl/certs/ca-certificates.crt"
  : >"$base/.made"
fi

rm -rf -- "$root"
cp -a --reflink=auto -- "$base" "$root"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
git clone --quiet --no-hardlinks -- "$home" "$root/root/sslserver"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
chmod 700 "$root/root"

if [ "${1-}" = -- ]; then
  shift
  [ $# -gt 0 ] || set -- bash
  # shellcheck disable=SC2016
  enter "$root" sh -c 'cd /root/sslserver && exec "$@"' sh "$@"
  exit
fi

# Serves one connection, with node as the client: nothing else is installed.
# shellcheck disable=SC2016
enter "$root" sh -c '
  cd /root/sslserver || exit
  ./compile.sh || exit
  ./dist/sslserver --self-signed -1 127.0.0.1 0 sh -c "echo \"hello \$SSLREMOTEIP\"; cat" >/tmp/port &
  server=$!
  until [ -s /tmp/port ]; do kill -0 "$server" || exit; done
  node -e "
    const tls = require(\"node:tls\");
    const port = Number(require(\"node:fs\").readFileSync(\"/tmp/port\"));
    tls.connect({ port, host: \"127.0.0.1\", rejectUnauthorized: false })
      .once(\"data\", (data) => { process.stdout.write(data); process.exit(0); });
  " || exit
  kill "$server"
  wait "$server" || exit
  exec test/run.sh "$@"
' sh "$@"
