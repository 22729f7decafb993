/** The command lines of sslcat, sslconnect and https@. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { test } from "node:test";
import { ownOptions, parseSmallClient } from "../../src/commands/small_client.ts";
import { clientDefaults, type ClientOptions } from "../../src/config/client_options.ts";
import { UsageError } from "../../src/errors.ts";

const SHAPES = { sslcat: ["host", "port"], "https@": ["host", "page", "port"] } as const;
type Name = keyof typeof SHAPES;

function parse(name: Name, line: string) {
  const argv = line === "" ? [] : line.split(" ").map((word) => word === "''" ? "" : word);
  return parseSmallClient({ operands: SHAPES[name] }, ownOptions(name), argv, {});
}

/** The operands as `host/page/port`, and the options that differ from those of sslclient. */
function read(name: Name, line: string): [string, Partial<ClientOptions>] {
  const parsed = parse(name, line);
  assert("connect" in parsed && "operands" in parsed);
  const { host, page, port } = parsed.operands;
  const { connect } = parsed;
  assertEquals([connect.host, connect.port, connect.command], [host, port, []]);
  const before = clientDefaults() as unknown as Record<string, unknown>;
  const changed = Object.entries(connect).filter(([key, value]) =>
    key !== "host" && key !== "port" && JSON.stringify(value) !== JSON.stringify(before[key])
  );
  return [`${host}/${page}/${port}`, Object.fromEntries(changed)];
}

/** What -RHl0 sets. */
const QUIET: Partial<ClientOptions> = { remoteName: false, localName: "0" };

test("operands have defaults, and what follows the port is options of sslclient", () => {
  const rows: [Name, string, string, Partial<ClientOptions>][] = [
    ["sslcat", "", "0//443", {}],
    ["sslcat", "a", "a//443", {}],
    ["sslcat", "a 1", "a//1", {}],
    ["sslcat", "'' ''", "0//443", {}],
    ["sslcat", "-4", "0//443", { family: 4 }],
    ["sslcat", "-6 a 1", "a//1", { family: 6 }],
    ["sslcat", "-4 -- a", "a//443", { family: 4 }],
    ["sslcat", "a 1 -4v", "a//1", { family: 4, verbosity: 2 }],
    ["sslcat", "a 1 -a ca.pem -V 2", "a//1", { caFile: "ca.pem", depth: 2 }],
    ["sslcat", "a 1 -XNw9", "a//1", { checkChain: false, checkName: false, idleTimeout: 9 }],
    ["https@", "", "0//443", {}],
    ["https@", "a x/y?z", "a/x/y?z/443", {}],
    ["https@", "a x 1 -X", "a/x/1", { checkChain: false }],
    ["https@", "a '' 1", "a//1", {}],
  ];
  for (const [name, line, operands, options] of rows) {
    assertEquals(read(name, line), [operands, { ...QUIET, ...options }], `${name} ${line}`);
  }
});

test("help, page and version are printed before a host and after a port", () => {
  for (const line of ["--help", "--man", "--version", "a 1 --help", "a 1 --man", "a 1 --version"]) {
    const parsed = parse("sslcat", line);
    assert("print" in parsed, line);
    if (line === "--man") assertEquals(parsed, { print: "manual", page: "sslcat" });
  }
});

test("wrong usage is an error", () => {
  const rows: [string, RegExp][] = [
    ["-x", /unknown option -x/],
    ["a 1 b", /'b' is no option/],
    ["a 1 -4 b", /'b' is no option/],
    ["a 1 -m", /unknown option -m/],
    ["a 1 -a", /-a needs/],
  ];
  for (const [line, message] of rows) {
    const error = assertThrows(() => parse("sslcat", line), UsageError);
    assertMatch(error.message, message);
  }
});
