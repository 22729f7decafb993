#!/bin/sh
# Packs one executable with what belongs to it: manual pages, completions, documents and licence.
# release.sh calls it.
#
#   tools/package.sh EXECUTABLE NAME VERSION TARGET FOLDER
#
# Writes into FOLDER: NAME.tar.gz, to be unpacked below /usr/local or another prefix; for linux-x64 and
# linux-arm64 a Debian package, if dpkg-deb is installed; and NAME.files, the list of the files with mode
# and link target, for packagers (an .apk needs Alpine's abuild and its key).
#
# SOURCE_DATE_EPOCH is the time of all files, so that the same sources give the same bytes. Needs GNU tar.
set -eu

fail() {
  echo "package.sh: $*" >&2
  exit 1
}

[ $# -eq 5 ] && [ -n "${SOURCE_DATE_EPOCH:-}" ] ||
  fail "usage: SOURCE_DATE_EPOCH=SECONDS tools/package.sh EXECUTABLE NAME VERSION TARGET FOLDER"
executable=$1 name=$2 version=$3 target=$4 folder=$5
home=$(cd -- "$(dirname -- "$0")/.." && pwd -P)
tar --version 2>/dev/null | grep -q GNU || fail "unable to pack $name: tar is not GNU tar; install it as tar"
scratch=$(mktemp -d "$folder/.package.XXXXXX") || fail "unable to write $folder"
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
umask 022

NAMES='s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck'
COMPLETED='s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@'

# put MODE FILE PATH: copies a file into the tree.
put() {
  mkdir -p -- "$tree/${3%/*}"
  cp -- "$2" "$tree/$3"
  chmod "$1" "$tree/$3"
}

# stage: fills $tree with the files at their places below a prefix.
stage() {
  put 755 "$executable" bin/sslserver
  for link in $NAMES; do ln -s sslserver "$tree/bin/$link"; done
  for page in "$home"/man/*.[17]; do
    put 644 "$page" "share/man/man${page##*.}/${page##*/}"
  done
  put 644 "$home/completions/sslserver.bash" share/bash-completion/completions/sslserver
  put 644 "$home/completions/_sslserver" share/zsh/site-functions/_sslserver
  put 644 "$home/completions/sslserver.fish" share/fish/vendor_completions.d/sslserver.fish
  # bash and fish read the completions of a command from the file that bears its name.
  for link in $COMPLETED; do
    ln -s sslserver "$tree/share/bash-completion/completions/$link"
    ln -s sslserver.fish "$tree/share/fish/vendor_completions.d/$link.fish"
  done
  for page in LICENSE README.md CHANGELOG.md MIGRATION.md SECURITY.md; do
    put 644 "$home/$page" "share/doc/sslserver/$page"
  done
  # examples/text has copies of modules, for the executable.
  (cd -- "$home" && find docs examples man/text -type f ! -path 'examples/text/*' | sort) >"$scratch/documents"
  while read -r file; do put 644 "$home/$file" "share/doc/sslserver/$file"; done <"$scratch/documents"
  find "$tree/share/doc" -name '*.md' >"$scratch/pages"
  while read -r page; do plain_links "$page"; done <"$scratch/pages"
}

# plain_links PAGE: makes plain text of the links to files that only the sources have. A link's text may be on
# several lines, so the page is one record.
plain_links() {
  grep -o '](\([^)# ]*\)' "$1" | cut -c 3- | sort -u >"$scratch/targets" || :
  while read -r to; do
    case $to in '' | *:*) continue ;; esac
    [ ! -e "${1%/*}/$to" ] || continue
    awk -v RS='\001' -v target="]($to" '{
      while ((at = index($0, target)) > 0) {
        before = substr($0, 1, at - 1)
        open = match(before, /\[[^[]*$/)
        rest = substr($0, at)
        $0 = substr(before, 1, open - 1) substr(before, open + 1) substr(rest, index(rest, ")") + 1)
      }
      printf "%s", $0
    }' "$1" >"$scratch/page"
    cat "$scratch/page" >"$1"
  done <"$scratch/targets"
}

# pack OPTION…: the tree as an archive with fixed order, owner and time.
pack() {
  tar --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" "$@"
}

tree=$scratch/$name
mkdir -- "$tree"
stage
(cd -- "$tree" && find . ! -type d | sort | while read -r file; do
  file=${file#./}
  if [ -L "$file" ]; then echo "link $file $(readlink "$file")"; else echo "$(stat -c %a "$file") $file"; fi
done) >"$folder/$name.files"
pack -C "$scratch" -cf - "$name" | gzip -n >"$folder/$name.tar.gz"

case $target in
  linux-x64) architecture=amd64 ;;
  linux-arm64) architecture=arm64 ;;
  *) exit 0 ;; # musl and macOS have no Debian packages
esac
if ! command -v dpkg-deb >/dev/null; then
  echo "package.sh: no Debian package of $name: dpkg-deb is not installed" >&2
  exit 0
fi
# Debian Policy 12.5 has the licence in the file `copyright`. Completions of zsh are in vendor-completions.
mkdir -p -- "$scratch/deb/DEBIAN"
mv -- "$tree" "$scratch/deb/usr"
tree=$scratch/deb/usr
mv -- "$tree/share/doc/sslserver/LICENSE" "$tree/share/doc/sslserver/copyright"
mv -- "$tree/share/zsh/site-functions" "$tree/share/zsh/vendor-completions"
# These names belong to s6-networking and ucspi-tcp. `sslserver --as tcprules` has the same effect.
for other in s6-tlsserver tcprules tcprulescheck; do rm -- "$tree/bin/$other"; done
rm -- "$tree"/share/man/man1/tcprules*.1 "$tree/share/bash-completion/completions/s6-tlsserver" \
  "$tree/share/fish/vendor_completions.d/s6-tlsserver.fish"
gzip -n9 -- "$tree"/share/man/man?/*
size=$(du -sk --apparent-size "$tree" | cut -f1)
cat >"$scratch/deb/DEBIAN/control" <<EOF
Package: sslserver
Version: $version
Architecture: $architecture
Maintainer: sslserver <sslserver@localhost>
Installed-Size: $size
Depends: libc6 (>= 2.17)
Section: net
Priority: optional
Description: TLS super-server: accepts TLS connections and runs a program for each
 The decrypted stream is on the program's descriptors 0 and 1, and everything
 about the client in its environment. It has access rules, reverse DNS, ident,
 client certificates, STARTTLS (UCSPI-TLS), limits, and processes without rights.
EOF
find "$scratch/deb" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group --uniform-compression -Zgzip -z6 --build "$scratch/deb" \
  "$folder/sslserver_${version}_$architecture.deb" >"$scratch/log" 2>&1 ||
  { cat "$scratch/log" >&2; fail "unable to make the Debian package: dpkg-deb failed"; }
