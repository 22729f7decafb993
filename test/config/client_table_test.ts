/** The command line of sslclient. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { clientDefaults, type ClientOptions } from "../../src/config/client_options.ts";
import { parseClient } from "../../src/config/client_table.ts";
import { UsageError } from "../../src/errors.ts";

const OPERANDS = ["mail.example", "465", "prog", "-x", "arg"];

function parsed(...options: string[]): Partial<ClientOptions> {
  const result = parseClient([...options, ...OPERANDS], {});
  assert("connect" in result);
  const { host, port, command, ...rest } = result.connect;
  assertEquals([host, port, ...command], OPERANDS);
  const before = clientDefaults() as unknown as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(rest).filter(([name, value]) =>
      JSON.stringify(value) !== JSON.stringify(before[name])
    ),
  );
}

test("each option sets its field, and the last of several wins", () => {
  const rows: [string, Partial<ClientOptions>][] = [
    ["", {}],
    ["-q", { verbosity: 0 }],
    ["-v -Q", {}],
    ["-v", { verbosity: 2 }],
    ["-4", { family: 4 }],
    ["-46", { family: 6 }],
    ["-T 3+4", { timeout: { first: 3, further: 4 } }],
    ["-T5", { timeout: { first: 5, further: 0 } }],
    ["-T 0+9", { timeout: { first: 0, further: 9 } }],
    ["-i ::1 -p 99", { localIp: "::1", localPort: 99 }],
    ["-I eth0", { interface: "eth0" }],
    ["-dw9", { noDelay: false, idleTimeout: 9 }],
    ["-3c a.pem -kb.pem", { keyPassword: true, certFile: "a.pem", keyFile: "b.pem" }],
    ["-a ca.pem -A dir -V 3", { caFile: "ca.pem", caDir: "dir", depth: 3 }],
    ["-z HIGH", { ciphers: "HIGH" }],
    ["-XN", { checkChain: false, checkName: false }],
    ["-XNxn", {}],
    ["-Hl name", { remoteName: false, localName: "name" }],
    ["-rt 3", { ident: true, identTimeout: 3 }],
    ["-rRhH -h", {}],
    ["-es", { tcpVariables: true, tlsVariables: true }],
    ["-esES", {}],
  ];
  for (const [line, expected] of rows) {
    assertEquals(parsed(...line.split(" ").filter((word) => word !== "")), expected, line);
  }
});

test("wrong usage is an error that names the option", () => {
  const rows: [string[], RegExp][] = [
    [[], /host, port and prog are missing/],
    [["host"], /port and prog are missing/],
    [["host", "1"], /prog is missing/],
    [["host:1", "prog"], /host and port are one word/],
    [["-T", "x", ...OPERANDS], /-T needs seconds such as 2\+58, not 'x'/],
    [["-T", "1+", ...OPERANDS], /-T needs seconds/],
    [["-T", "0+0", ...OPERANDS], /-T needs seconds/],
    [["-i", "name", ...OPERANDS], /-i needs an address/],
    [["-p", "0", ...OPERANDS], /-p needs a number/],
    [["-V", "101", ...OPERANDS], /-V needs a number/],
    [["-k", "key", ...OPERANDS], /-k needs -c/],
    [["-m", ...OPERANDS], /unknown option -m/],
  ];
  for (const [argv, message] of rows) {
    assertThrows(() => parseClient(argv, {}), UsageError, message);
  }
});

test("--help, --version and --man print", () => {
  assertEquals(parseClient(["--help"], {}), { print: "help" });
  assertEquals(parseClient(["--version"], {}), { print: "version" });
  assertEquals(parseClient(["--man"], {}), { print: "manual", page: "sslclient" });
});
