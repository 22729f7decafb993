/** The options, variables and mistakes of `s6-tlsserver`, as options and environment of the server. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { test } from "node:test";
import { parseS6 } from "../../src/commands/s6_tlsserver.ts";
import { s6Defaults, serverOptions } from "../../src/commands/s6_tlsserver_settings.ts";
import type { Options } from "../../src/config/options.ts";
import type { Env } from "../../src/config/variables.ts";
import { inheritedByPrograms, serverSettings } from "../../src/config/variables_of_s6.ts";
import { UsageError } from "../../src/errors.ts";

const TAIL = ["0.0.0.0", "993", "prog", "-v", "arg"];
const IDS: Env = { UID: "1000", GID: "1001", GIDLIST: "1002,8" };

function parsed(args: readonly string[], env: Env = IDS): Options {
  const request = parseS6([...args, ...TAIL], env);
  assert("serve" in request);
  assertEquals(request.serve.command, ["prog", "-v", "arg"]);
  return request.serve;
}

/** The options that differ from those without arguments. */
function changed(...args: string[]): Record<string, unknown> {
  const base: Record<string, unknown> = { ...parsed([]) };
  return Object.fromEntries(
    Object.entries(parsed(args)).filter(([name, value]) =>
      JSON.stringify(value) !== JSON.stringify(base[name])
    ),
  );
}

test("without options, the defaults are s6's", () => {
  const { options } = s6Defaults();
  const expected: Partial<Options> = {
    verbosity: 2,
    log: "s6",
    variables: "s6",
    signals: "s6",
    closeStdout: true,
    concurrency: 40,
    perAddress: 40,
    noDelay: false,
    closeNotify: false,
    clientCertificate: "none",
    serverNames: "ignored",
    handshakeTimeout: 0,
    identTimeout: 0,
    remoteName: true,
    paranoid: false,
    hosts: false,
  };
  for (const [name, value] of Object.entries(expected)) {
    assertEquals(options[name as keyof Options], value, name);
  }
  assertEquals(changed(), {});
});

const IDENTITY = { uid: 1000, gid: 1001, groups: [1002, 8] };
const NO_DNS = { remoteName: false, ownName: false };

const ROWS: readonly (readonly [args: string, changes: Record<string, unknown>])[] = [
  ["-q", { verbosity: 1 }],
  ["-Q", {}],
  ["-v", { verbosity: 3 }],
  ["-vqQ", {}],
  ["--quiet", { verbosity: 1 }],
  ["--verbose", { verbosity: 3 }],
  ["-1", { printPort: true }],
  ["--notify", { printPort: true }],
  ["-c 5", { concurrency: 5, perAddress: 5 }],
  ["-c0", { concurrency: 1, perAddress: 1 }],
  ["-c 99999", { concurrency: 16_384 }],
  ["--global-max-connections=7", { concurrency: 7, perAddress: 7 }],
  ["-C 5", { perAddress: 5 }],
  ["-C0", { perAddress: 1 }],
  ["-C 100", {}],
  ["-C 100 -c 60", { concurrency: 60, perAddress: 60 }],
  ["--local-max-connections=3", { perAddress: 3 }],
  ["-b 5", { backlog: 5 }],
  ["--backlog=70000", { backlog: 65_535 }],
  ["-w", { strictResolution: true }],
  ["-wW", {}],
  ["--strict-resolution", { strictResolution: true }],
  ["-D", { noDelay: true }],
  ["-Dd", {}],
  ["--no-nagle", { noDelay: true }],
  ["-r", { ident: true }],
  ["-rR", {}],
  ["-l mx.test", { localName: "mx.test" }],
  ["--local-name=mx.test", { localName: "mx.test" }],
  ["-H", NO_DNS],
  ["-hH", NO_DNS],
  ["--no-dns --dns", {}],
  ["-p", { paranoid: true, deniesMismatch: true }],
  ["-pP", {}],
  ["-pH", { paranoid: true, deniesMismatch: true }],
  ["-h", { hosts: true }],
  ["--hosts --no-hosts", {}],
  ["-B hello", { earlyBanner: "hello" }],
  ["--banner=hello", { earlyBanner: "hello" }],
  ["-t 1500", { lookupTimeout: 1.5 }],
  ["--timeout=0", {}],
  ["-i rules", { accessDir: "rules" }],
  ["--rules-directory=rules", { accessDir: "rules" }],
  ["-x rules.cdb", { accessCdb: "rules.cdb" }],
  ["--rules-file=rules.cdb", { accessCdb: "rules.cdb" }],
  ["-Z", {}],
  ["-Zz", {}],
  ["-S", { closeNotify: true }],
  ["-Ss", {}],
  ["--close-notify", { closeNotify: true }],
  ["-J", { enforceCloseNotify: true }],
  ["-Jj", {}],
  ["-Y", { clientCertificate: "optional" }],
  ["-Yy", { clientCertificate: "valid" }],
  ["--mandatory-client-cert", { clientCertificate: "valid" }],
  ["-K 2500", { handshakeTimeout: 2.5 }],
  ["--handshake-timeout=0", {}],
  ["-k0", {}],
  ["-k1", { serverNames: "used" }],
  ["--sni-level=2", { serverNames: "only" }],
  ["-k 9", { serverNames: "only" }],
  ["-u 1000", { uid: 1000 }],
  ["-u0 -g0", {}],
  ["--uid=1000 --gid=1001 --gidlist=1002,8", IDENTITY],
  ["-u 1000 -g 1001 -G 1002,8", IDENTITY],
  ["-U", IDENTITY],
  ["--envuidgid", IDENTITY],
  ["--pending=7 --check", { pending: 7, check: true }],
  ["--pending 7", { pending: 7 }],
  ["--log=json", { log: "json" }],
  ["--workers 3 --", { workers: 3 }],
];

for (const [args, changes] of ROWS) {
  test(`s6-tlsserver ${args}`, () => assertEquals(changed(...args.split(" ")), changes));
}

test("-L accepts a PROXY header from every client", () => {
  const [four, six] = parsed(["-L"]).proxyFrom ?? [];
  assertEquals([four?.prefix, six?.prefix], [0, 0]);
});

const MISTAKES: readonly (readonly [args: string[], message: RegExp])[] = [
  [["-v2", ...TAIL], /^unknown option -2$/],
  [["-e", ...TAIL], /^unknown option -e$/],
  [["-X", ...TAIL], /^unknown option -X$/],
  [["-c", "x", ...TAIL], /^option -c needs a number from 0 to 4294967295, not 'x'$/],
  [["-t", "-5", ...TAIL], /^option -t needs a number/],
  [["-K", "99999999999", ...TAIL], /^option -K needs a number/],
  [["--timeout", "5", ...TAIL], /^option --timeout needs a value$/],
  [["-B", "x".repeat(2000), ...TAIL], /^option -B needs at most 1024 bytes/],
  [["-G", "1,x", ...TAIL], /^option -G needs a number/],
  [["-i", "a", "-x", "b", ...TAIL], /^options -i and -x exclude each other$/],
  [["-q"], /^ip, port and prog are missing$/],
  [["0.0.0.0"], /^port and prog are missing$/],
  [["0.0.0.0", "993"], /^prog is missing$/],
];

test("the error names the mistake, and the exit code is 100", () => {
  for (const [args, message] of MISTAKES) {
    const error = assertThrows(() => parseS6(args, IDS), UsageError);
    assertMatch(error.message, message);
    assertEquals(error.code, 100);
  }
  assertThrows(() => parseS6(["-U", ...TAIL], {}), UsageError, "$UID for -U needs a number");
});

const FILES: Env = { KEYFILE: "k", CERTFILE: "c" };

test("variables: those of s6 become those of the server", () => {
  const none = parsed([]);
  assertEquals(serverSettings(FILES, none, true), FILES);
  const ids = { ...FILES, TLS_UID: "65534", TLS_GID: "65533", VERIFYDEPTH: "2" } as Env;
  assertEquals(
    serverSettings(ids, none, true),
    { ...FILES, SSL_UID: "65534", SSL_GID: "65533", VERIFYDEPTH: "2" } as Env,
  );
  assertEquals(serverSettings(ids, none, false), { ...FILES, VERIFYDEPTH: "2" } as Env);
  const both = { ...FILES, CADIR: "d", CAFILE: "f" };
  const kept = serverSettings(both, parsed(["-y"]), true);
  assertEquals([kept.CADIR, kept.CAFILE, kept.VERIFYDEPTH], ["d", undefined, "6"]);
  for (
    const [env, args, name] of [
      [{ CERTFILE: "c" }, [], "$KEYFILE is not set"],
      [{ KEYFILE: "k" }, ["-k1"], "$CERTFILE is not set"],
      [FILES, ["-y"], "neither $CADIR nor $CAFILE is set"],
      [FILES, ["-Y"], "neither $CADIR nor $CAFILE is set"],
    ] as const
  ) {
    assertThrows(() => serverSettings(env, parsed(args), true), UsageError, name);
  }
  serverSettings({}, parsed(["-k2"]), true);
  serverSettings({}, parsed(["--self-signed"]), true);
});

test("programs get the TLS variables only with -Z, and those of -U only without -U", () => {
  const env = {
    ...FILES,
    "KEYFILE:a.test": "k",
    CADIR: "d",
    CAFILE: "f",
    TLS_UID: "1",
    TLS_GID: "2",
    ...IDS,
    HOME: "/",
    TCPREMOTEIP: "forged",
    SSL_PEER_CERT_HASH: "forged",
    SSL_CHROOT: "/x",
  } as Env;
  const ids = ["GID", "GIDLIST", "UID"];
  const read = ["CADIR", "CAFILE", "CERTFILE", "KEYFILE", "KEYFILE:a.test", "TLS_GID", "TLS_UID"];
  const names = (keep: boolean, identityFromEnvironment: boolean): string[] =>
    Object.keys(inheritedByPrograms(env, { keep, identityFromEnvironment })).sort();
  assertEquals(names(false, false), [...ids, "HOME"].sort());
  assertEquals(names(true, false), [...ids, ...read, "HOME"].sort());
  assertEquals(names(false, true), ["HOME"]);
});

test("the options of each call are their own", () => {
  parsed(["-c5", "-Z"]);
  assertEquals(serverOptions(s6Defaults(), {}).concurrency, 40);
});
