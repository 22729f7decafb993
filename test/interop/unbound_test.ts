/** The resolver against Debian's `unbound`: local zones, both families, TCP for large answers. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import { hostOperand } from "../../src/accept/host.ts";
import { remoteName } from "../../src/admit/names.ts";
import type { DnsQueryType } from "../../src/codec/dns/message.ts";
import { reverseName } from "../../src/codec/dns/reverse.ts";
import { DnsConfig } from "../../src/dns/config.ts";
import { Resolver } from "../../src/dns/resolver.ts";
import { type Transport, transportOf } from "../../src/dns/transport.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { noFiles } from "../admit/helpers.ts";
import { freePort } from "../free_port.ts";

const UNBOUND = "/usr/sbin/unbound";

const MANY = Array.from({ length: 250 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
const DATA = [
  "host.test. 300 IN A 192.0.2.1",
  "host.test. 300 IN AAAA 2001:db8::1",
  "Mixed.Test. 300 IN A 192.0.2.5",
  "alias.test. 300 IN CNAME host.test.",
  "alias2.test. 300 IN CNAME alias.test.",
  "round.test. 300 IN CNAME trip.test.",
  "trip.test. 300 IN CNAME round.test.",
  "void.test. 300 IN CNAME nowhere.test.",
  "v6only.test. 300 IN AAAA 2001:db8::6",
  "text.test. 300 IN TXT hello",
  "liar.test. 300 IN A 198.51.100.1",
  "test. 300 IN SOA ns.test. root.test. 1 3600 900 86400 60",
  "2.0.192.in-addr.arpa. 300 IN SOA ns.test. root.test. 1 3600 900 86400 60",
  ...MANY.map((ip) => `many.test. 300 IN A ${ip}`),
  `${reverseName("192.0.2.1")}. 300 IN PTR host.test.`,
  `${reverseName("192.0.2.2")}. 300 IN PTR liar.test.`,
  `${reverseName("192.0.2.3")}. 300 IN PTR one.test.`,
  `${reverseName("192.0.2.3")}. 300 IN PTR two.test.`,
  `${reverseName("192.0.2.4")}. 300 IN CNAME 4.sub.2.0.192.in-addr.arpa.`,
  `4.sub.2.0.192.in-addr.arpa. 300 IN PTR host.test.`,
  `${reverseName("10.1.0.7")}. 300 IN PTR many.test.`,
  `${reverseName("2001:db8::1")}. 300 IN PTR host.test.`,
];

let dir = "";
let port = 0;
let unbound: ChildProcess;
let resolver: Resolver;
/** The number of TCP connections that the resolver has made. */
let streams = 0;

before(async () => {
  if (!existsSync(UNBOUND)) throw new Error(`${UNBOUND} is missing: install Debian's unbound`);
  dir = mkdtempSync(join(tmpdir(), "unbound-"));
  port = await freePort();
  const path = join(dir, "unbound.conf");
  writeFileSync(
    path,
    `server:
  interface: 127.0.0.1@${port}
  interface: ::1@${port}
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 1
  username: ""
  chroot: ""
  directory: "${dir}"
  pidfile: ""
  num-threads: 1
  module-config: "iterator"
  root-hints: ""
  local-zone: "test." static
  local-zone: "2.0.192.in-addr.arpa." static
  local-zone: "10.in-addr.arpa." static
  local-zone: "8.b.d.0.1.0.0.2.ip6.arpa." static
  local-zone: "refused.example." refuse
${DATA.map((line) => `  local-data: "${line}"`).join("\n")}
remote-control:
  control-enable: no
`,
  );
  unbound = spawn(UNBOUND, ["-d", "-c", path], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  await new Promise<void>((resolve, reject) => {
    unbound.stderr?.on("data", (data) => {
      log += data;
      if (log.includes("start of service")) resolve();
    });
    unbound.on("exit", () => reject(new Error(`unbound did not start: ${log}`)));
  });
  resolver = resolverOf(`127.0.0.1:${port}`);
});

after(async () => {
  resolver?.close();
  if (unbound?.exitCode === null) {
    const exit = once(unbound, "exit");
    unbound.kill("SIGTERM");
    await exit;
  }
  if (dir !== "") rmSync(dir, { recursive: true });
});

const network = transportOf(await currentRuntime());

function resolverOf(servers: string): Resolver {
  const transport: Transport = {
    udp: network.udp,
    tcp(...args) {
      streams++;
      return network.tcp(...args);
    },
  };
  const config = new DnsConfig({
    env: { DNSCACHEIP: servers, LOCALDOMAIN: "nowhere.test test" },
    files: noFiles,
  });
  return new Resolver({ config, transport });
}

const ROWS: [name: string, type: DnsQueryType, status: string, values?: string[]][] = [
  ["host.test", "A", "found", ["192.0.2.1"]],
  ["HOST.Test.", "AAAA", "found", ["2001:db8::1"]],
  ["mixed.test", "A", "found", ["192.0.2.5"]],
  ["alias.test", "A", "found", ["192.0.2.1"]],
  ["alias2.test", "AAAA", "found", ["2001:db8::1"]],
  ["round.test", "A", "loop"],
  ["void.test", "A", "nxdomain"],
  ["v6only.test", "A", "nodata"],
  ["v6only.test", "AAAA", "found", ["2001:db8::6"]],
  ["text.test", "A", "nodata"],
  ["nowhere.test", "A", "nxdomain"],
  ["x.refused.example", "A", "servfail"],
  [reverseName("192.0.2.1"), "PTR", "found", ["host.test"]],
  [reverseName("192.0.2.4"), "PTR", "found", ["host.test"]],
  [reverseName("192.0.2.99"), "PTR", "nxdomain"],
  [reverseName("2001:db8::1"), "PTR", "found", ["host.test"]],
  [reverseName("2001:db8::2"), "PTR", "nxdomain"],
];
for (const [name, type, status, values = []] of ROWS) {
  test(`unbound's ${type} of ${name} is ${status}`, async () => {
    assertEquals<unknown>(await resolver.lookup(name, type), { status, values });
  });
}

test("several names of one address are all found", async () => {
  const { values } = await resolver.names("192.0.2.3");
  assertEquals([...values].sort(), ["one.test", "two.test"]);
});

test("250 addresses come by TCP, because they do not fit into a datagram", async () => {
  const before = streams;
  const { status, values } = await resolver.lookup("many.test", "A");
  assertStrictEquals(status, "found");
  assertEquals([...values].sort(), [...MANY].sort());
  assertStrictEquals(streams - before, 1);
});

test("250 addresses come by TCP over IPv6", async () => {
  const six = resolverOf(`[::1]:${port}`);
  assertEquals((await six.lookup("host.test", "A")).values, ["192.0.2.1"]);
  assertStrictEquals((await six.lookup("many.test", "A")).values.length, 250);
  six.close();
});

test("peers get their names, with -p only names that resolve to their address", async () => {
  const rows: [ip: string, plain: string | undefined, paranoid: string | undefined][] = [
    ["192.0.2.1", "host.test", "host.test"],
    ["192.0.2.2", "liar.test", undefined],
    ["192.0.2.4", "host.test", undefined],
    ["10.1.0.7", "many.test", "many.test"],
    ["2001:db8::1", "host.test", "host.test"],
    ["192.0.2.99", undefined, undefined],
  ];
  for (const [ip, plain, paranoid] of rows) {
    assertStrictEquals((await remoteName(ip, { paranoid: false }, resolver)).name, plain, ip);
    assertStrictEquals((await remoteName(ip, { paranoid: true }, resolver)).name, paranoid, ip);
  }
});

test("the host operand is qualified and resolved", async () => {
  assertEquals(await hostOperand("host", 0, resolver), ["192.0.2.1", "2001:db8::1"]);
  assertEquals(await hostOperand("v6only", 6, resolver), ["2001:db8::6"]);
  await assertRejects(() => hostOperand("missing", 0, resolver), Error, /"missing": no such name$/);
});

test("500 questions at once are all answered", async () => {
  const fresh = resolverOf(`127.0.0.1:${port}`);
  const all = await Promise.all(
    Array.from({ length: 500 }, (_, i) => fresh.lookup(`n${i}.nowhere.test`, "A")),
  );
  assert(all.every(({ status }) => status === "nxdomain"));
  fresh.close();
});
