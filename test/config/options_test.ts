/** The command line: POSIX getopt with digits as options, long options, and operands. */

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { defaults, type Options, PAGES } from "../../src/config/options.ts";
import { parseModuleOptions, parseOptions } from "../../src/config/parse.ts";
import { UsageError } from "../../src/errors.ts";
import { localFiles } from "../../src/files/files.ts";
import { withIds } from "../../src/privsep/identity.ts";

const TAIL = ["0", "465", "prog"];

function served(...args: string[]): Options {
  const request = parseOptions([...args, ...TAIL], {});
  assert("serve" in request);
  return request.serve;
}

/** The options that differ from the defaults. */
function changed(...args: string[]): Partial<Options> {
  const base: Record<string, unknown> = {
    ...defaults(),
    host: "0",
    port: "465",
    command: ["prog"],
  };
  return Object.fromEntries(
    Object.entries(served(...args)).filter(([name, value]) =>
      JSON.stringify(value) !== JSON.stringify(base[name])
    ),
  );
}

test("options cluster, and the last of a cluster takes a value, attached or not", () => {
  const wanted = { verbosity: 2, remoteName: false, localName: "0" } as const;
  assertEquals(changed("-vHRl0"), wanted);
  assertEquals(changed("-vHRl", "0"), wanted);
  assertEquals(changed("-v", "-H", "-R", "-l", "0"), wanted);
});

test("digits are options", () => {
  assertEquals(changed("-163"), { printPort: true, family: 6, keyPassword: true });
});

test("the last of several options counts", () => {
  assertEquals(changed("-c1", "-c", "2"), { concurrency: 2 });
  assertEquals(changed("-m", "-Z"), {});
  assertEquals(changed("-4", "-6"), { family: 6 });
});

test("long options take their value after = or as the next argument", () => {
  assertEquals(changed("--pending=7"), { pending: 7 });
  assertEquals(changed("--pending", "7"), { pending: 7 });
  assertEquals(changed("--log=json", "--check"), { log: "json", check: true });
});

test("look-ups can be limited and required", () => {
  const wanted = { hosts: true, strictResolution: true, lookupTimeout: 5, earlyBanner: "hello" };
  const given = ["--hosts", "--strict-resolution", "--lookup-timeout=5", "--early-banner=hello"];
  assertEquals(changed(...given), wanted);
  assertThrows(
    () => changed("--early-banner", "x".repeat(1025)),
    Error,
    /needs at most 1024 bytes/,
  );
});

test("s6's variables and log lines can be asked for", () => {
  const wanted = { variables: "s6", log: "s6", clientCertificate: "optional" } as const;
  assertEquals(changed("--variables=s6", "--log", "s6", "--client-cert"), wanted);
});

test("options choose how a connection ends", () => {
  assertEquals(changed("--no-close-notify", "--enforce-close-notify"), {
    closeNotify: false,
    enforceCloseNotify: true,
  });
});

test("--man without a page prints the page of the command", () => {
  assertEquals(parseOptions(["--man"], {}), { print: "manual", page: "sslserver" });
  assertEquals(parseModuleOptions(["--man"], {}), { print: "manual", page: "sslhandle" });
  assertEquals(parseModuleOptions(["--man=tcprules"], {}), { print: "manual", page: "tcprules" });
});

test("sslhandle has a module in place of a program", () => {
  const request = parseModuleOptions(["-v", "0", "465", "module.ts", "-c", "1"], {});
  assert("serve" in request);
  const { handler, command, verbosity } = request.serve;
  assertEquals(handler, { kind: "handler", file: "module.ts" });
  assertEquals([command, verbosity], [["-c", "1"], 2]);
  const mistakes: [string[], string][] = [
    [[], "host, port and module are missing"],
    [["0"], "port and module are missing"],
    [["0", "465"], "module is missing"],
    [["--echo", "0", "465", "module.ts"], "--echo serves in place of a module"],
    [
      ["--workers", "2", "0", "465", "module.ts"],
      "a module serves in one process, and not in 2 workers",
    ],
    [["-n", "0", "465", "module.ts"], "-n is for programs, not for --handler"],
  ];
  for (const [argv, message] of mistakes) {
    assertStrictEquals(
      assertThrows(() => parseModuleOptions(argv, {}), UsageError).message,
      message,
    );
  }
});

test("options end at the first operand, and at --", () => {
  const request = parseOptions(["-v", "0", "465", "prog", "-c", "1", "--help"], {});
  assert("serve" in request);
  assertEquals(request.serve.command, ["prog", "-c", "1", "--help"]);
  assertStrictEquals(request.serve.concurrency, 40);
  assertStrictEquals(served("--").verbosity, 1);
  const dash = parseOptions(["-", "465", "prog"], {});
  assert("serve" in dash);
  assertStrictEquals(dash.serve.host, "-");
});

test("an option that prints ends the parsing", () => {
  assertEquals(parseOptions(["--help", "--nonsense"], {}), { print: "help" });
  assertEquals(parseOptions(["-v", "--version"], {}), { print: "version" });
  const page = <T extends string>(page: T) => ({ print: "manual", page }) as const;
  assertEquals(parseOptions(["--man"], {}), page("sslserver"));
  assertEquals(parseOptions(["--man", "tcprules"], {}), page("tcprules"));
  assertEquals(parseOptions(["--man=ucspi-tls"], {}), page("ucspi-tls"));
  assertEquals(parseOptions(["--example"], {}), { print: "example", name: "" });
  assertEquals(parseOptions(["--example", "s6"], {}), { print: "example", name: "s6" });
  assertEquals(parseOptions(["--completion", "zsh"], {}), {
    print: "completion",
    shell: "zsh",
  });
});

const GIDS = { UID: "1", GID: "2", GIDLIST: "3,4" };

test("-U takes its numbers from the environment", () => {
  const request = parseOptions(["-U", ...TAIL], GIDS);
  assert("serve" in request);
  const { uid, gid, groups } = request.serve;
  assertEquals([uid, gid, groups], [1, 2, [3, 4]]);
});

const MISTAKES: readonly (readonly [string[], string])[] = [
  [["-k", ...TAIL], "unknown option -k"],
  [["-vk", ...TAIL], "unknown option -k"],
  [["--nonsense", ...TAIL], "unknown option --nonsense"],
  [["--lo", "json", ...TAIL], "unknown option --lo"],
  [["-c"], "option -c needs a value"],
  [["--pending"], "option --pending needs a value"],
  [["--check=yes", ...TAIL], "option --check takes no value"],
  [["-c", "x", ...TAIL], "option -c needs a number from 1 to 1000000, not 'x'"],
  [["-c", "0", ...TAIL], "option -c needs a number from 1 to 1000000, not '0'"],
  [["-c", "-1", ...TAIL], "option -c needs a number from 1 to 1000000, not '-1'"],
  [["-c", "1e3", ...TAIL], "option -c needs a number from 1 to 1000000, not '1e3'"],
  [["-u", "0", ...TAIL], "option -u needs a number from 1 to 4294967294 or a name, not '0'"],
  [
    ["-u", "4294967295", ...TAIL],
    "option -u needs a number from 1 to 4294967294 or a name, not '4294967295'",
  ],
  [["-b", "65536", ...TAIL], "option -b needs a number from 1 to 65535, not '65536'"],
  [["-U", ...TAIL], "$UID for -U needs a number from 1 to 4294967294, not ''"],
  [["--log", "xml", ...TAIL], "option --log needs text, json or s6, not 'xml'"],
  [
    ["--man", "cat"],
    `option --man needs ${PAGES.slice(0, -1).join(", ")} or ${PAGES.at(-1)}, not 'cat'`,
  ],
  [["--completion", "sh"], "option --completion needs bash, zsh or fish, not 'sh'"],
  [
    ["--proxy-from", "x", ...TAIL],
    "option --proxy-from needs networks such as " +
    "10.0.0.0/8,2001:db8::/32, not 'x'",
  ],
  [[], "host, port and prog are missing"],
  [["0"], "port and prog are missing"],
  [["0", "465"], "prog is missing"],
  [["--echo"], "host and port are missing"],
  [["--echo", "0"], "port is missing"],
  [["--echo", ...TAIL], "--echo serves in place of a program, and there is one: 'prog'"],
  [["-n", "--echo", "0", "465"], "-n is for programs, not for --echo"],
];

test("the error names the mistake", () => {
  for (const [argv, message] of MISTAKES) {
    const error = assertThrows(() => parseOptions(argv, {}), UsageError);
    assertStrictEquals(error.message, message);
  }
});

test("a mistyped option gets a suggestion", () => {
  const rows: [string[], RegExp, RegExp | undefined][] = [
    [["--hlep", ...TAIL], /^unknown option --hlep$/, /^did you mean --help\?$/],
    [["--chek", ...TAIL], /^unknown option --chek$/, /^did you mean --check\?$/],
    [["--selfsigned", ...TAIL], /^unknown option/, /^did you mean --self-signed\?$/],
    [["--work", "2", ...TAIL], /^unknown option --work$/, /^did you mean --workers\?$/],
    [["--pendng=5", ...TAIL], /^unknown option --pendng$/, /^did you mean --pending\?$/],
    [["-version"], /^unknown option -i$/, /^did you mean --version\?$/],
    [["--nonsense", ...TAIL], /^unknown option --nonsense$/, undefined],
    [["-k", ...TAIL], /^unknown option -k$/, undefined],
    [["127.0.0.1:8498", "cat"], /^host and port are one word: /, /^write 127\.0\.0\.1 8498$/],
    [["localhost:imaps", "cat"], /^host and port are one word: /, /^write localhost imaps$/],
    [["[::1]:465", "cat", "-v"], /^host and port are one word: /, /^write \[::1\] 465$/],
  ];
  for (const [argv, message, hint] of rows) {
    const error = assertThrows(() => parseOptions(argv, {}), UsageError, message);
    if (hint) assertMatch(error.hint ?? "none", hint, argv.join(" "));
    else assertStrictEquals(error.hint, undefined);
  }
  for (const host of ["::", ":0", "::1", "[::1]", "fe80::1%lo", "2001:db8::1"]) {
    assert("serve" in parseOptions([host, "0", "cat"], {}), host);
  }
});

test("-u and -g take names, which are looked up once; the last of several options counts", () => {
  const parse = (...argv: string[]) => {
    const request = parseOptions([...argv, ...TAIL], {});
    assert("serve" in request);
    return request.serve;
  };
  const files = {
    ...localFiles,
    read: (path: string) =>
      new TextEncoder().encode(
        path === "/etc/passwd" ? "root:x:0:0::/:\nweb:x:33:34::/:\n" : "root:x:0:\nmail:x:8:\n",
      ),
  };
  const named = withIds(parse("-u", "web", "-g", "mail"), files);
  assertEquals([named.uid, named.gid], [33, 8]);
  const last = withIds(parse("-u", "web", "-u", "7", "-g", "8", "-g", "mail"), files);
  assertEquals([last.uid, last.gid], [7, 8]);
  assertThrows(
    () => withIds(parse("-u", "wbe"), files),
    Error,
    /unable to find -u wbe: not in \/etc\/passwd/,
  );
  assertThrows(
    () => withIds(parse("-u", "root"), files),
    Error,
    /option -u needs another user than root's/,
  );
  assertThrows(
    () => withIds(parse("-g", "root"), files),
    Error,
    /option -g needs another group than root's/,
  );
});
