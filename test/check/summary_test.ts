/** The summary of --check: what it says about each kind of server. */

import { assertEquals } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import type { Actors } from "../../src/check/processes.ts";
import { type CheckedServer, summarize, type SummaryLine } from "../../src/check/summary.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { defaults, type Options } from "../../src/config/options.ts";
import { localFiles } from "../../src/files/files.ts";
import { certify } from "../tls/authority.ts";

const root = { uid: 0, gid: 0, groups: [], ourselves: true };
/** An id that no /etc/passwd has. */
const nameless = { uid: 4_000_000, gid: 4_000_001, groups: [], ourselves: false };

const separate: Actors = {
  opener: root,
  worker: { ...nameless, jail: "/empty" },
  program: nameless,
  workers: 2,
  module: false,
  handed: new Set(),
  files: localFiles,
};

function described(options: Partial<Options>, rest: Partial<CheckedServer> = {}): CheckedServer {
  return {
    options: { ...defaults(), command: ["smtpd", "-x"], ...options },
    actors: separate,
    address: { ip: "0.0.0.0", port: 465, dualStack: false, interface: undefined, backlog: 1 },
    sites: [],
    asksClients: false,
    ...rest,
  };
}

function textOf(lines: readonly SummaryLine[], about: string): string[] {
  return lines.filter((line) => line.about === about).map(({ text }) => text);
}

test("the summary names program, address, users and clients", () => {
  assertEquals(summarize(described({ concurrency: 7 })), [
    { about: "program", text: "smtpd -x (at most 7 at once)" },
    { about: "address", text: "all IPv4 addresses, port 465" },
    {
      about: "users",
      text: "monitor root (0:0); 2 workers user 4000000 (4000000:4000001) in /empty; " +
        "programs user 4000000 (4000000:4000001)",
    },
    { about: "clients", text: "need no certificate" },
  ]);
});

const LINES: readonly [string, Partial<Options>, Partial<CheckedServer>, string, string[]][] = [
  ["UCSPI-TLS", { delayed: true }, {}, "program", [
    "smtpd -x (at most 40 at once, TLS when it asks (-n))",
  ]],
  ["--echo", { handler: { kind: "echo" } }, {}, "handler", ["echo (at most 40 at once)"]],
  ["--files", { handler: { kind: "files", folder: "/srv" } }, {}, "handler", [
    "files of /srv (at most 40 at once)",
  ]],
  ["--handler", { handler: { kind: "handler", file: "/a.ts" } }, {}, "handler", [
    "/a.ts (at most 40 at once)",
  ]],
  ["no address", {}, { address: undefined }, "address", []],
  ["a handler has no program's user", { handler: { kind: "echo" } }, {}, "users", [
    "monitor root (0:0); 2 workers user 4000000 (4000000:4000001) in /empty",
  ]],
  ["one process", {}, { actors: { ...separate, workers: 0 } }, "users", [
    "one process does everything, as root (0:0)",
  ]],
  ["-m", { clientCertificate: "valid" }, {}, "clients", ["need a valid certificate"]],
  ["-z", { clientCertificate: "match" }, {}, "clients", [
    "need a valid certificate that matches their host name",
  ]],
  ["--client-cert", { clientCertificate: "optional" }, {}, "clients", [
    "are asked for a certificate, and refused if it is invalid",
  ]],
  ["CAFILE alone", {}, { asksClients: true }, "clients", ["are asked for a certificate"]],
  ["rules", { earlyRules: "/y", rules: "/x" }, {}, "rules", ["-y /y, then -x /x"]],
  ["access rules", { accessDir: "/d" }, {}, "rules", ["--access-dir /d"]],
  ["metrics", { metrics: { host: "::1", port: 9100 } }, {}, "metrics", ["[::1]:9100"]],
  ["metrics on a socket", { metrics: { path: "/run/m" } }, {}, "metrics", ["/run/m"]],
  ["--self-signed", { selfSigned: true }, {}, "certificate", ["a temporary one (--self-signed)"]],
];

for (const [name, options, rest, about, expected] of LINES) {
  test(`the summary of ${name}`, () => {
    assertEquals(textOf(summarize(described(options, rest)), about), expected);
  });
}

const ADDRESSES: readonly [string, number, boolean, string][] = [
  ["192.0.2.1", 0, false, "192.0.2.1, any free port"],
  ["::", 25, false, "all IPv6 addresses, port 25"],
  ["::", 25, true, "all IPv4 and IPv6 addresses, port 25"],
];

for (const [ip, port, dualStack, expected] of ADDRESSES) {
  test(`the summary says: ${expected}`, () => {
    const address = { ip, port, dualStack, interface: undefined, backlog: 1 };
    assertEquals(textOf(summarize(described({}, { address })), "address"), [expected]);
  });
}

test("a PROXY header is part of the address", () => {
  const lines = summarize(described({ proxyFrom: [] }));
  const expected = "all IPv4 addresses, port 465, with a PROXY header from some networks";
  assertEquals(textOf(lines, "address"), [expected]);
});

test("a certificate has its names and its end; a long list is cut", () => {
  const leaf = readCertificate(certify({ name: "mx.example" }).der);
  const pair = { leaf, path: "/mx.pem" };
  const site = (name: string | undefined, count: number) => ({
    name,
    lookup: () => undefined,
    pairs: Array.from({ length: count }, () => pair),
  });
  const of = (sites: unknown[], now: number): string[] =>
    textOf(summarize(described({}, { sites: sites as never }), now), "certificate");
  const { ms, text } = leaf.notAfter;
  const day = 86_400_000;
  assertEquals(of([site(undefined, 1), site("b.example", 1)], ms - 3 * day), [
    `/mx.pem, /CN=mx.example, until ${text} (3 days)`,
    `for clients that ask for b.example: /mx.pem, /CN=mx.example, until ${text} (3 days)`,
  ]);
  assertEquals(of([site(undefined, 1)], ms + day), [
    `/mx.pem, /CN=mx.example, until ${text} (expired)`,
  ]);
  const long = of([site(undefined, 25)], ms);
  assertEquals([long.length, long.at(-1)], [21, "5 more"]);
});

test("a user has its name of /etc/passwd", { skip: process.platform !== "linux" }, () => {
  const [text = ""] = textOf(summarize(described({})), "users");
  assertEquals(text.startsWith("monitor root (0:0)"), true);
});
