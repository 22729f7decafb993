#!/bin/sh
# Builds one executable. Needs sh, Node and npm, and installs everything else below the project.
#
#   ./compile.sh        dist/sslserver with Bun, and links with its other names beside it
#   ./compile.sh deno   dist/sslserver-deno with `deno compile`; DENORT_BIN names a base executable
#                       already at hand, otherwise Deno downloads its own
#   ./compile.sh all    dist/sslserver-TARGET with Bun, for every target below; the base executables
#                       come from the npm registry and must match package-lock.json
#   ./compile.sh TARGET the same for one of them, linux-x64 say
#   ./compile.sh js     dist/js: the program as JavaScript for `deno run dist/js/cli.js`, which starts in 0.6 of
#                       the time, because Deno has fewer files to load and no TypeScript to convert
#   ./compile.sh docs   dist/html: the manual pages as HTML (needs mandoc)
#   ./compile.sh npm    dist/npm: the library as JavaScript with its types, for the npm package (Deno
#                       runs no TypeScript out of node_modules); `npm pack` calls it
#
# ENTRY (default cli.ts, from the project's folder) and DIST (default dist) can be set.
# Everything is built in a scratch folder and then renamed, so that no incomplete file is visible.
set -eu

TARGETS='linux-x64 linux-arm64 linux-x64-musl linux-arm64-musl darwin-x64 darwin-arm64'

# The builder's environment must not affect the build: these load code into Bun, Deno, Node or npm.
unset BUN_OPTIONS BUN_BE_BUN BUN_INSPECT BUN_INSPECT_CONNECT_TO BUN_INSPECT_PRELOAD \
  NODE_OPTIONS NODE_CHANNEL_FD NODE_UNIQUE_ID NODE_ENV CDPATH

fail() {
  echo "compile.sh: $*" >&2
  exit 1
}

usage() {
  echo "usage: compile.sh [deno | npm | js | docs | all | TARGET], TARGET one of $TARGETS" >&2
  exit 100
}

[ $# -le 1 ] || usage
case ${1-bun} in
  bun | deno | npm | js | docs) job=${1-bun} ;;
  all) job=targets ;;
  *)
    case " $TARGETS " in *" $1 "*) job=targets TARGETS=$1 ;; *) usage ;; esac
    ;;
esac

home=$(cd -- "$(dirname -- "$0")" && pwd -P)
start=$(pwd -P)
dist=${DIST:-$home/dist}
case $dist in /*) ;; *) dist=$start/$dist ;; esac
entry=${ENTRY:-cli.ts}
case $entry in /*) ;; *) entry=$home/$entry ;; esac
[ -f "$entry" ] || fail "unable to read $entry: no such file"

mkdir -p -- "$dist" || fail "unable to create $dist"
scratch=$(mktemp -d "$dist/.build.XXXXXX") || fail "unable to write $dist"
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# npm needs a home and a cache that it can write, also with an empty HOME or with nobody's /nonexistent.
run_npm() {
  command -v npm >/dev/null || fail "unable to run npm: not found in PATH; install Node and npm"
  (
    [ -n "${HOME:-}" ] || export HOME="$scratch/home"
    if ! [ -w "$HOME" ]; then export npm_config_cache="$scratch/npm"; fi
    mkdir -p "$scratch/home"
    npm --no-audit --no-fund --no-update-notifier "$@"
  )
}

pinned() {
  sed -n 's/^ *"'"$1"'": *"\([0-9][0-9.]*\)".*/\1/p' "$home/package.json"
}

# has TOOL EXECUTABLE: the pinned version is installed and runs.
has() {
  case $("$2" --version 2>/dev/null) in
    "$(pinned "$1")" | "$1 $(pinned "$1") "*) return 0 ;;
  esac
  return 1
}

# complete: every package that package.json names is installed in its pinned version. Tests need those
# that are no tool.
complete() {
  names=$(sed -n '/"devDependencies"/,/}/s/^ *"\([^"]*\)": *"[0-9].*/\1/p' "$home/package.json")
  for package in $names; do
    grep -q "\"version\": *\"$(pinned "$package")\"" "$home/node_modules/$package/package.json" \
      2>/dev/null || return 1
  done
}

# any FILE…: one of them exists.
any() {
  for file in "$@"; do
    if [ -f "$file" ]; then return 0; fi
  done
  return 1
}

# need TOOL EXECUTABLE: installs all packages if the tool or another package is missing or is not the
# pinned version. npm ci installs exactly what package-lock.json pins, for every platform. Install scripts
# are off, as in newer npm versions. Those of the tools only move or link the executable that npm has
# installed, and are run here. Without that executable, Bun's script would download one without a
# checksum, so it must exist.
need() {
  if has "$1" "$2" && complete; then return 0; fi
  echo "compile.sh: installing the packages of package-lock.json" >&2
  (cd -- "$home" && run_npm ci --ignore-scripts >"$scratch/log" 2>&1) ||
    { cat "$scratch/log" >&2; fail "unable to install $1: npm ci failed"; }
  any "$home"/node_modules/@oven/bun-*/bin/bun && any "$home"/node_modules/@deno/*/deno ||
    fail "unable to install $1: npm has left out its executable (no such platform, or wrong checksum)"
  for installer in bun/install.js deno/install.cjs; do
    (cd -- "$home/node_modules/${installer%/*}" && node "${installer#*/}" >&2) ||
      fail "unable to install ${installer%/*}: node node_modules/$installer failed"
  done
  has "$1" "$2" || fail "unable to run $2: not version $(pinned "$1") after npm ci"
}

# copy_sources: copies the sources of a program to $scratch/source. An ENTRY elsewhere stays where it is.
copy_sources() {
  mkdir -- "$scratch/source"
  (cd -- "$home" && cp -R -- *.ts package.json src man examples "$scratch/source") ||
    fail "unable to copy the sources"
  case $entry in "$home"/*) entry=./${entry#"$home"/} ;; esac
}

# build NAME BASE [FLAG…]: compiles the entry into a copy of the executable BASE, as dist/NAME.
# Bytecode halves the time to start; the source map costs none and keeps names in stack traces.
# --splitting keeps what is imported by import() in files of its own, which a process that does not need
# them never reads. The define leaves the adapter for Deno out.
# The four autoload flags shut out .env, bunfig.toml, tsconfig.json and package.json of the folder
# the program is started in; make_inert.mjs does that for the environment; and an import that is not
# found now must not be looked for there at run time. It runs in the scratch folder, because Bun puts
# temporary files into the current one.
build() {
  name=$1
  base=$2
  shift 2
  "$bun" --no-install "$home/tools/make_inert.mjs" "$base" "$scratch/base" ||
    fail "unable to build $name: see above"
  (
    cd -- "$scratch/source" &&
      "$bun" build --compile "$@" --compile-executable-path="$scratch/base" \
        --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
        --no-compile-autoload-tsconfig --no-compile-autoload-package-json \
        --allow-unresolved='<empty>' --bytecode --format=esm --splitting --sourcemap=inline \
        --define Deno=undefined \
        --outfile="$scratch/sslserver" "$entry" >"$scratch/log" 2>&1
  ) || { cat "$scratch/log" >&2; fail "unable to build $name: bun build failed"; }
  chmod 755 "$scratch/sslserver"
  mv -f -- "$scratch/sslserver" "$dist/$name"
  echo "$dist/$name"
}

# fetch PACKAGE VERSION: $scratch/package/bin/bun is that package's executable, its archive checked
# against the lock file.
fetch() {
  rm -rf -- "$scratch/package" "$scratch"/*.tgz
  (cd -- "$scratch" && run_npm pack --silent "$1@$2" >/dev/null) || fail "unable to download $1 $2"
  node -e '
    const fs = require("fs"), [lock, name, file] = process.argv.slice(1);
    const want = JSON.parse(fs.readFileSync(lock)).packages["node_modules/" + name].integrity;
    const hash = require("crypto").createHash("sha512").update(fs.readFileSync(file));
    if (want !== "sha512-" + hash.digest("base64")) process.exit(1);
  ' "$home/package-lock.json" "$1" "$scratch"/*.tgz ||
    fail "unable to use $1 $2: the archive does not match package-lock.json"
  (cd -- "$scratch" && tar -xzf ./*.tgz package/bin/bun) || fail "unable to unpack $1 $2"
}

bun=$home/node_modules/bun/bin/bun.exe
deno=$home/node_modules/deno/deno

case $job in
  bun)
    need bun "$bun"
    copy_sources
    build sslserver "$bun"
    for name in s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck; do
      ln -s sslserver "$scratch/$name"
      mv -f -- "$scratch/$name" "$dist/$name"
    done
    ;;
  targets)
    need bun "$bun"
    copy_sources
    for target in $TARGETS; do
      # npm's names say aarch64 where Bun's targets say arm64.
      fetch "@oven/bun-$(echo "$target" | sed s/arm64/aarch64/)" "$(pinned bun)"
      build "sslserver-$target" "$scratch/package/bin/bun" --target="bun-$target"
    done
    ;;
  js)
    need bun "$bun"
    copy_sources
    # The define leaves out what only Bun runs; `bun:*` is what its adapter would import. A worker that
    # opens files is started by way of confine.js.
    (
      cd -- "$scratch/source" &&
        "$bun" build --target=node --format=esm --splitting --external='bun:*' --define Bun=undefined \
          --outdir="$scratch/js" "$entry" >"$scratch/log" 2>&1 &&
        "$bun" build --target=node --format=esm --splitting --external='bun:*' --define Bun=undefined \
          --outdir="$scratch/js" src/runtime/confine.ts >"$scratch/log" 2>&1
    ) || { cat "$scratch/log" >&2; fail "unable to make dist/js: bun build failed"; }
    chmod 755 "$scratch/js"
    rm -rf -- "$dist/js"
    mv -- "$scratch/js" "$dist/js"
    echo "$dist/js"
    ;;
  docs)
    command -v mandoc >/dev/null || fail "unable to make dist/html: mandoc is not installed"
    mkdir "$scratch/html"
    # Links lead to Debian's pages, except for those that lie beside this one.
    beside=$(cd -- "$home/man" && for page in *.[17]; do
      echo "s|https://manpages.debian.org/$page\"|$page.html\"|g;"
    done)
    for page in "$home"/man/*.[17]; do
      mandoc -Thtml -Ostyle=style.css,man=https://manpages.debian.org/%N.%S "$page" >"$scratch/page" ||
        fail "unable to make dist/html: mandoc failed"
      sed "$beside" "$scratch/page" >"$scratch/html/${page##*/}.html"
    done
    cp -- "$home/tools/manual.css" "$scratch/html/style.css"
    chmod 755 "$scratch/html"
    rm -rf -- "$dist/html"
    mv -- "$scratch/html" "$dist/html"
    echo "$dist/html"
    ;;
  npm)
    need deno "$deno"
    # Types are made for what the library exports; Deno says of every other file that it has none.
    (
      cd -- "$home" &&
        "$deno" pack --quiet --allow-dirty --no-source-maps --output "$scratch/npm.tgz"
    ) >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "unable to make dist/npm: deno pack failed"; }
    (
      cd -- "$scratch" && tar -xzf npm.tgz && cd package &&
        rm -rf -- cli.* man examples package.json && find . -name '*.md' -o -name LICENSE | xargs rm -f --
    ) || fail "unable to make dist/npm: see above"
    [ -f "$scratch/package/mod.d.ts" ] || fail "unable to make dist/npm: deno pack made no types"
    rm -rf -- "$dist/npm"
    mv -- "$scratch/package" "$dist/npm"
    echo "$dist/npm"
    ;;
  deno)
    need deno "$deno"
    if [ -n "${DENORT_BIN:-}" ] && ! [ -x "$DENORT_BIN" ]; then
      fail "unable to use DENORT_BIN=$DENORT_BIN: not an executable file"
    fi
    # --no-code-cache: otherwise the program loads code from a file of predictable name in /tmp.
    # The packages under node_modules would be packed into the program; it needs none of them.
    (
      cd -- "$home" &&
        "$deno" compile --quiet --no-code-cache --no-prompt --no-remote \
          --allow-net --allow-read --allow-write --allow-env --allow-sys --allow-run --allow-ffi \
          --exclude node_modules/bun --exclude node_modules/@oven \
          --exclude node_modules/deno --exclude node_modules/@deno \
          --exclude node_modules/deno-std --exclude node_modules/fast-check \
          --exclude node_modules/pure-rand --exclude node_modules/.bin \
          --output "$scratch/sslserver" "$entry"
    ) || fail "unable to build sslserver-deno: deno compile failed; if it could not download its" \
      "base executable, set DENORT_BIN to a denort of version $(pinned deno)"
    chmod 755 "$scratch/sslserver"
    mv -f -- "$scratch/sslserver" "$dist/sslserver-deno"
    echo "$dist/sslserver-deno"
    ;;
esac
