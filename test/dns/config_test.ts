import {
  assert,
  assertEquals,
  assertObjectMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { DnsConfig } from "../../src/dns/config.ts";
import { fromLatin1 } from "../../src/codec/bytes.ts";
import { FastClock, noFiles } from "../admit/helpers.ts";

/** Files in memory; a file that holds an Error cannot be read. */
function memory(content: Record<string, string | Error>) {
  const get = (path: string) => {
    const text = content[path];
    if (text instanceof Error) throw text;
    return text;
  };
  const files = {
    looks: 0,
    stamp(path: string) {
      files.looks++;
      return get(path);
    },
    read(path: string) {
      const text = get(path);
      if (text === undefined) throw Object.assign(new Error("absent"), { code: "ENOENT" });
      return fromLatin1(text);
    },
  };
  return files;
}

const RESOLV = "/etc/resolv.conf";
const config = (
  env: Record<string, string>,
  content: Record<string, string | Error> = {},
  hostName = "me",
) => new DnsConfig({ env, files: memory(content), hostName, clock: new FastClock() });

test("servers come from $DNSCACHEIP, else resolv.conf, else this host", () => {
  const file = { [RESOLV]: "nameserver 10.0.0.1\nnameserver 10.0.0.2" };
  const at = (address: string) => ({ address, port: 53 });
  assertEquals(config({ DNSCACHEIP: "10.0.0.9" }, file).servers, [at("10.0.0.9")]);
  assertEquals(config({ DNSCACHEIP: "" }, file).servers, [at("10.0.0.1"), at("10.0.0.2")]);
  assertEquals(config({}, file).servers, [at("10.0.0.1"), at("10.0.0.2")]);
  assertEquals(config({}).servers, [at("127.0.0.1")]);
});

test("zones of servers become numbers before a worker loses the right to look them up", () => {
  let sandboxed = false;
  const interfaceIndex = (name: string): number => {
    if (sandboxed || name !== "eth0") throw new Error("no such device");
    return 7;
  };
  const clock = new FastClock();
  const content = { [RESOLV]: "nameserver fe80::1%eth0\nnameserver fe80::1%3\nnameserver ::1%lo" };
  const at = (address: string) => ({ address, port: 53 });
  const one = new DnsConfig({
    env: {},
    files: memory(content),
    clock,
    hostName: "me",
    interfaceIndex,
  });
  assertEquals(one.servers, [at("fe80::1%7"), at("fe80::1%3"), at("::1")]);
  sandboxed = true;
  content[RESOLV] = "nameserver fe80::2%eth0\nnameserver fe80::3%eth1";
  clock.forward(2);
  assertEquals(one.servers, [at("fe80::2%7"), at("fe80::3%eth1")]);
});

test("a $DNSCACHEIP or resolv.conf that cannot be used is fatal at start and named", () => {
  assertObjectMatch(
    assertThrows(
      () => config({ DNSCACHEIP: "dns.test" }),
      Error,
      /^unable to use \$DNSCACHEIP: .*not an IP address/,
    ),
    { name: "FatalError" },
  );
  assertObjectMatch(
    assertThrows(() => config({}, { [RESOLV]: new Error("permission denied") }), Error),
    { name: "FatalError", message: "unable to read /etc/resolv.conf: permission denied" },
  );
});

test("resolv.conf is read again when it changes, and checked at most once a second", () => {
  const clock = new FastClock();
  const content: Record<string, string | Error> = { [RESOLV]: "nameserver 10.0.0.1" };
  const files = memory(content);
  const said: string[] = [];
  const say = (message: string) => void said.push(message);
  const log = { error: say, notice: say };
  const one = new DnsConfig({ env: {}, files, clock, hostName: "me", log });
  content[RESOLV] = "nameserver 10.0.0.2";
  for (let i = 0; i < 1000; i++) one.servers;
  assert(files.looks <= 2, `${files.looks} looks`);
  clock.forward(2);
  assertStrictEquals(one.servers[0]?.address, "10.0.0.2");
  content[RESOLV] = new Error("input/output error");
  clock.forward(2);
  assertStrictEquals(one.servers[0]?.address, "10.0.0.2", "what it said last stays in force");
  const told = (why: string) =>
    `unable to read /etc/resolv.conf: ${why}; its old settings stay in use`;
  for (const why of ["input/output error", "a pipe, not a regular file"]) {
    content[RESOLV] = new Error(why);
    for (let i = 0; i < 3; i++) {
      clock.forward(2);
      one.servers;
    }
    assertStrictEquals(said.pop(), told(why));
  }
  assertEquals(said, []);
  delete content[RESOLV];
  clock.forward(2);
  assertStrictEquals(one.servers[0]?.address, "127.0.0.1");
  assertEquals(said, [`resolver settings good again: ${RESOLV}`]);
});

const ROUNDS: [options: string, rounds: number[]][] = [
  ["", [1, 3, 11]],
  ["timeout:2", [1, 2, 2]],
  ["attempts:1", [1]],
  ["attempts:5", [1, 3, 11, 11, 11]],
  ["timeout:5 attempts:2", [1, 3]],
];
for (const [options, rounds] of ROUNDS) {
  test(`with options "${options}" the rounds last ${rounds} seconds`, () => {
    assertEquals(config({}, { [RESOLV]: `options ${options}` }).rounds, rounds);
  });
}

const SEARCH = { [RESOLV]: "search a.test b.test" };
const NAMES: [
  title: string,
  config: DnsConfig,
  rows: [host: string, names: string[]][],
][] = [
  [
    "a rewriting file",
    config({ LOCALDOMAIN: "x.test" }, {
      "/etc/dnsrewrite": "?:.rewritten.test",
      "/etc/dnswritefile": "?:.second.test",
      ...SEARCH,
    }),
    [["host", ["host.rewritten.test"]], ["host.", ["host."]]],
  ],
  [
    "the man page's rewriting file, where djb's is missing",
    config({}, {
      "/etc/dnswritefile": "?:.second.test",
    }),
    [["host", ["host.second.test"]]],
  ],
  [
    "$DNSREWRITEFILE",
    config({ DNSREWRITEFILE: "/my" }, {
      "/my": "=host:1.2.3.4",
      "/etc/dnsrewrite": "?:.rewritten.test",
    }),
    [["host", ["1.2.3.4"]]],
  ],
  [
    "a missing $DNSREWRITEFILE",
    config({ DNSREWRITEFILE: "/my", LOCALDOMAIN: "l.test" }, {
      "/etc/dnsrewrite": "?:.rewritten.test",
    }),
    [["host", ["host.l.test"]]],
  ],
  ["$LOCALDOMAIN", config({ LOCALDOMAIN: "l.test  m.test" }, SEARCH), [
    ["host", ["host.l.test", "host.m.test"]],
    ["host.x", ["host.x"]],
    ["host.", ["host"]],
  ]],
  ["an empty $LOCALDOMAIN", config({ LOCALDOMAIN: "" }, SEARCH), [["host", ["host"]]]],
  ["a search list", config({}, SEARCH), [["host", ["host.a.test", "host.b.test"]]]],
  ["ndots", config({}, { [RESOLV]: "search a.test\noptions ndots:2" }), [
    ["host", ["host.a.test"]],
    ["host.x", ["host.x.a.test", "host.x"]],
    ["host.x.", ["host.x"]],
    ["host.x.y", ["host.x.y"]],
  ]],
  ["the root in a search list", config({}, { [RESOLV]: "search . a.test\noptions ndots:5" }), [
    ["host", ["host", "host.a.test"]],
    ["host.x", ["host.x", "host.x.a.test"]],
  ]],
  ["only a host name", config({}, {}, "me.home.test"), [["host", ["host.home.test"]]]],
  ["nothing at all", config({}), [["host", ["host"]]]],
];
for (const [title, one, rows] of NAMES) {
  test(`a host is qualified by ${title}`, () => {
    for (const [host, names] of rows) assertEquals(one.qualify(host), names, host);
  });
}

test("a rewriting file that cannot be read is fatal and named", () => {
  const one = config({}, { "/etc/dnsrewrite": new Error("permission denied") });
  assertObjectMatch(assertThrows(() => one.qualify("host"), Error), {
    name: "FatalError",
    message: "unable to read /etc/dnsrewrite: permission denied",
  });
});

test("the machine's own files can be read", () => {
  assert(new DnsConfig({ env: {} }).servers.length > 0);
  assert(new DnsConfig({ env: {}, files: noFiles }).qualify("a.b").length > 0);
});
