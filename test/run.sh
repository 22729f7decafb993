#!/bin/sh
# Installs what is missing, builds dist/sslserver and runs every test: each file under test/ on Deno and
# on Bun, and those of test/e2e once over all forms of the server. A file that fails runs once more. The
# last line is the sum: "N passed, N failed, N skipped, N only in a second try", of which the last counts
# files and the others tests. Exit code 0 if none failed.
#
#   test/run.sh                 everything
#   test/run.sh FILE…           these files
#
# E2E_BYTES, E2E_CONNECTIONS, E2E_CUT_STEP and FUZZ_RUNS make it more thorough, SSLSERVER_FORM chooses
# the forms. As root, where there is apt-get, the Debian programs that tests talk to are installed.
set -eu

cd -- "$(dirname -- "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
export PATH NO_COLOR=1 LC_ALL=C.UTF-8
unset BUN_OPTIONS BUN_BE_BUN BUN_INSPECT NODE_OPTIONS CDPATH SSL_CERT_FILE SSL_CERT_DIR || :

# Packages, and a file (or a pattern of one) that each of them brings. swaks speaks TLS by Net::SSLeay.
PACKAGES='openssl:/usr/bin/openssl curl:/usr/bin/curl python3:/usr/bin/python3 gcc:/usr/bin/gcc
libc6-dev:/usr/include/stdio.h libssl-dev:/usr/include/openssl/ssl.h ucspi-tcp:/usr/bin/tcprules
tinycdb:/usr/bin/cdb unbound:/usr/sbin/unbound oidentd:/usr/sbin/oidentd iproute2:/usr/bin/ss
strace:/usr/bin/strace procps:/usr/bin/ps perl-base:/usr/bin/perl prometheus:/usr/bin/promtool
haproxy:/usr/sbin/haproxy systemd:/usr/bin/systemd-analyze s6:/usr/bin/s6-svscan runit:/usr/bin/runsv
mandoc:/usr/bin/mandoc mailfront:/usr/sbin/smtpfront-echo zsh:/usr/bin/zsh fish:/usr/bin/fish
swaks:/usr/bin/swaks stunnel4:/usr/bin/stunnel4 libnet-ssleay-perl:/usr/lib/*/perl5/*/Net/SSLeay.pm
execline:/usr/bin/execlineb wget:/usr/bin/wget
socat:/usr/bin/socat'

# For test/e2e/arm64_test.ts, which is skipped where they cannot be had.
EMULATOR='qemu-user-static:/usr/bin/qemu-aarch64-static
libc6-arm64-cross:/usr/aarch64-linux-gnu/lib/libc.so.6'

NOTHING='0 passed, 1 failed, 0 skipped, 0 only in a second try'

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

say() { printf '%s\n' "$*"; }

# exists PATTERN
exists() {
  # Word splitting is meant: the pattern becomes the names that match.
  # shellcheck disable=SC2086
  set -- $1
  [ -e "$1" ]
}

# absent ENTRY…: the packages whose file is not there.
absent() {
  for entry; do
    case ${entry#*:} in /usr/bin/ss) [ -e /bin/ss ] && continue ;; esac
    exists "${entry#*:}" || echo "${entry%%:*}"
  done
}

# install NAME…
install() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  # Some of them are servers: installing one must not start it (Debian policy 9.3.3.1, invoke-rc.d).
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then
    policy=
  else
    trap 'rm -rf -- "$scratch" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
  fi
  { apt-get -qq update && apt-get -qq -y --no-install-recommends install "$@"; } \
    >"$scratch/apt" 2>&1 || tail -n 5 "$scratch/apt"
  [ -z "$policy" ] || rm -f -- "$policy"
}

# provide ENTRY…: installs what is absent, and leaves what is absent still in $missing.
provide() {
  missing=$(absent "$@")
  # Word splitting is meant: names of packages.
  # shellcheck disable=SC2086
  if [ -n "$missing" ] && install $missing; then missing=$(absent "$@"); fi
}

# Word splitting is intended: entries.
# shellcheck disable=SC2086
provide $PACKAGES
[ -z "$missing" ] || say "missing Debian packages: $missing; their tests will fail"
# shellcheck disable=SC2086
provide $EMULATOR
no_emulator=$missing

say 'building dist/sslserver'
./compile.sh >"$scratch/build" 2>&1 || { cat "$scratch/build"; say "$NOTHING"; exit 1; }

deno=node_modules/deno/deno
bun=node_modules/bun/bin/bun.exe
export DENO_DIR="${DENO_DIR:-$PWD/dist/.deno}"
"$deno" --version >/dev/null 2>&1 ||
  { say "unable to run $deno: remove node_modules and run this again"; say "$NOTHING"; exit 1; }

# count RUNTIME FILE: "passed failed skipped" by the summary in the output of a runner, or nothing.
count() {
  case $1 in
    deno) awk -F ' [|] ' '/^(ok|FAILED) [|] [0-9]+ passed/ {
        split("", n)
        for (i = 2; i <= NF; i++) { split($i, word, " "); n[word[2]] = word[1] }
        sum = n["passed"] + 0 " " n["failed"] + 0 " " n["ignored"] + 0
      }
      END { if (sum != "") print sum }' "$2" ;;
    bun) awk '/^ *[0-9]+ (pass|fail|skip|todo|errors?)$/ { n[$2] = $1; seen = 1 }
      END { if (seen) print n["pass"] + 0, n["fail"] + n["error"] + n["errors"], n["skip"] + n["todo"] }' "$2" ;;
  esac
}

# run NAME RUNTIME FILE: leaves "passed failed skipped seconds" in $scratch/NAME.sum and the output in
# NAME.out. A runner that crashes, hangs or counts nothing is a failure by itself.
run() {
  begun=$(date +%s)
  code=0
  result=$scratch/$1
  runtime=$2
  case $runtime in
    deno) set -- "$deno" test -A --no-check --quiet "$3" ;;
    bun) set -- "$bun" --no-install test --timeout 300000 "./$3" ;;
  esac
  timeout -k 10 900 "$@" </dev/null >"$result.out" 2>&1 || code=$?
  counts=$(count "$runtime" "$result.out")
  case $counts in
    '' | '0 0 0') counts='0 1 0' ;;
    *' 0 '*) [ "$code" = 0 ] || counts="${counts%% *} 1 ${counts##* }" ;;
  esac
  echo "$counts $(($(date +%s) - begun))" >"$result.sum"
}

passed=0
failed=0
skipped=0
again=0
# add FILE NAME…: sums up and prints one line; of what failed, the output too. A file that failed beside
# others runs once more with the machine to itself, and that is the verdict: both runs are shown.
add() {
  file=$1
  shift
  line=
  bad=
  for name in "$@"; do
    read -r p f s seconds <"$scratch/$name.sum"
    if [ "$f" != 0 ]; then
      say "failed beside others: $file, ${name%%-*} $p and $f failed; again, alone"
      grep -v '^(pass)' "$scratch/$name.out" | tail -n 150
      run "$name" "${name%%-*}" "$file"
      read -r p f s seconds <"$scratch/$name.sum"
      [ "$f" != 0 ] || again=$((again + 1))
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
    line="$line, ${name%%-*} $p"
    [ "$s" = 0 ] || line="$line and $s skipped"
    [ "$f" = 0 ] || { line="$line and $f failed"; bad="$bad $name"; }
  done
  say "$([ -z "$bad" ] && echo ok || echo FAILED) $file: ${line#, } (${seconds} s)"
  for name in $bad; do
    grep -v '^(pass)' "$scratch/$name.out" | tail -n 150
  done
}

# alone FILE: true for files that measure time, memory or load, which run without others.
alone() {
  case $1 in
    test/e2e/relay_bounded_memory_test.ts | test/e2e/many_connections_test.ts | \
      test/e2e/pending_limit_test.ts) return 0 ;;
  esac
  return 1
}

# slot FILE: where the results of an end-to-end file are kept.
slot() {
  echo "bun-$(basename "$1" .ts)"
}

# take FILE…: runs the files that no other `take` has begun, one after the other.
take() {
  for file; do
    if alone "$file" || ! mkdir "$scratch/$(slot "$file").begun" 2>/dev/null; then continue; fi
    run "$(slot "$file")" bun "$file"
    read -r p f s seconds <"$scratch/$(slot "$file").sum"
    [ "$s" = 0 ] || p="$p and $s skipped"
    [ "$f" != 0 ] || say "ok $file: bun $p ($seconds s)"
  done
}

[ $# -gt 0 ] || set -- $(find test -name '*_test.ts' ! -path 'test/e2e/*' | sort) \
  $(find test/e2e -name '*_test.ts' | sort)
far=
for file; do
  case $file in
    test/e2e/arm64_test.ts)
      if [ -z "$no_emulator" ]; then far="$far $file"
      else
        say "skipped $file: Debian packages are missing: $no_emulator"
        skipped=$((skipped + 1))
      fi
      ;;
    test/e2e/*) far="$far $file" ;;
    *)
      run deno-unit deno "$file" &
      run bun-unit bun "$file" &
      wait
      add "$file" deno-unit bun-unit
      ;;
  esac
done

# End-to-end files mostly wait, for different times: two run at the same time, and when one ends the next
# one starts.
# Word splitting is meant: names of files.
# shellcheck disable=SC2086
set -- $far
take "$@" &
take "$@" &
wait
for file; do
  if alone "$file"; then
    run "$(slot "$file")" bun "$file"
    add "$file" "$(slot "$file")"
    continue
  fi
  read -r p f s seconds <"$scratch/$(slot "$file").sum"
  if [ "$f" = 0 ]; then
    passed=$((passed + p))
    skipped=$((skipped + s))
  else
    add "$file" "$(slot "$file")"
  fi
done

say "$passed passed, $failed failed, $skipped skipped, $again only in a second try"
[ "$failed" = 0 ]
