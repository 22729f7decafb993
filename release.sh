#!/bin/sh
# Makes the files of a release in dist/release: per target an executable, named by version and target, and
# what tools/package.sh makes of it (an archive with manual pages and completions, its list of files, a
# Debian package); the checksums of all (SHA256SUMS), and an SBOM (CycloneDX in JSON). Every target is
# built twice, and both builds must be the same bytes. With the same sources, Bun version and
# package-lock.json anyone can make the same files and compare.
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
SOURCE_DATE_EPOCH=$(node "$home/tools/make_release.mjs" time) || fail "see above"
export SOURCE_DATE_EPOCH
node "$home/tools/make_release.mjs" sbom "$scratch/release" "$version" || fail "see above"
for file in "$scratch/release"/*; do
  name=${file##*/}
  case $name in *.cdx.json) continue ;; esac
  "$home/tools/package.sh" "$file" "$name" "$version" "${name#"sslserver-$version-"}" "$scratch/release" ||
    fail "see above"
done
node "$home/tools/make_release.mjs" sums "$scratch/release" || fail "see above"

rm -rf -- "$dist/release"
mv -- "$scratch/release" "$dist/release"
for file in "$dist/release"/*; do echo "$file"; done
