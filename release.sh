#!/bin/sh
# Makes the files of a release in dist/release: an executable per target, named by version and target,
# their checksums (SHA256SUMS), and an SBOM (CycloneDX in JSON). Every target is built twice, and both
# builds must be the same bytes. With the same sources, Bun version and package-lock.json anyone can make
# the same files and compare.
#
#   ./release.sh            every target of compile.sh
#   ./release.sh TARGET…    these
#
# DIST (default dist) can be set. The files of an earlier release are removed, and a release appears only
# when it is complete.
set -eu

fail() {
  echo "release.sh: $*" >&2
  exit 1
}

unset ENTRY
home=$(cd -- "$(dirname -- "$0")" && pwd -P)
dist=${DIST:-$home/dist}
case $dist in /*) ;; *) dist=$(pwd -P)/$dist ;; esac
mkdir -p -- "$dist" || fail "unable to create $dist"
scratch=$(mktemp -d "$dist/.release.XXXXXX") || fail "unable to write $dist"
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

[ $# -gt 0 ] || set -- all
version=$(node "$home/tools/make_release.mjs" version) || fail "see above"

if changes=$(git -C "$home" status --porcelain --untracked-files=no 2>/dev/null) && [ -n "$changes" ]; then
  echo 'release.sh: warning: there are changes that are in no commit' >&2
fi

for target; do
  for round in first second; do
    DIST=$scratch/$round "$home/compile.sh" "$target" >/dev/null || fail "unable to build $target"
  done
done
mkdir "$scratch/release"
chmod 755 "$scratch/release"
for file in "$scratch/first"/sslserver-*; do
  name=${file##*/}
  cmp -- "$file" "$scratch/second/$name" ||
    fail "unable to release $name: two builds of the same sources differ"
  mv -- "$file" "$scratch/release/sslserver-$version-${name#sslserver-}"
done
node "$home/tools/make_release.mjs" files "$scratch/release" "$version" || fail "see above"

rm -rf -- "$dist/release"
mv -- "$scratch/release" "$dist/release"
for file in "$dist/release"/*; do echo "$file"; done
