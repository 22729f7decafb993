import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { parseResolvConf, parseServerList } from "../../../src/codec/dns/resolv_conf.ts";

const EMPTY = {
  servers: [],
  search: [],
  ndots: 1,
  timeout: undefined,
  attempts: undefined,
};
const at = (address: string, port = 53) => ({ address, port });

const FILES: [title: string, text: string, conf: object][] = [
  ["nothing", "", EMPTY],
  ["comments", "# nameserver 1.2.3.4\n; search x\n", EMPTY],
  [
    "servers of both families, with a zone, tabs and CRLF",
    "nameserver 1.2.3.4\r\nnameserver\t2001:db8::1 # here\n  nameserver fe80::1%eth0",
    { servers: [at("1.2.3.4"), at("2001:db8::1"), at("fe80::1%eth0")] },
  ],
  ["servers that are none", "nameserver dns.example\nnameserver\nnameserver 1.2.3\n", EMPTY],
  ["the unspecified address", "nameserver 0.0.0.0\nnameserver ::", {
    servers: [at("127.0.0.1"), at("::1")],
  }],
  ["domain, then search: the last wins", "domain a.test\nsearch b.test c.test\n", {
    search: ["b.test", "c.test"],
  }],
  ["search, then domain: the last wins", "search b.test c.test\ndomain a.test\n", {
    search: ["a.test"],
  }],
  ["options", "options rotate timeout:2 attempts:4 ndots:3\noptions edns0", {
    timeout: 2,
    attempts: 4,
    ndots: 3,
  }],
  ["options beyond their caps", "options timeout:999 attempts:99 ndots:99", {
    timeout: 30,
    attempts: 5,
    ndots: 15,
  }],
  ["options below their least", "options timeout:0 attempts:0 timeout:-1 attempts:x", {
    timeout: 1,
    attempts: 1,
  }],
  ["a keyword that only begins like one", "nameservers 1.2.3.4\nsearcher x\n", EMPTY],
];
for (const [title, text, conf] of FILES) {
  test(`resolv.conf with ${title} is understood`, () => {
    assertEquals(parseResolvConf(text), { ...EMPTY, ...conf });
  });
}

test("resolv.conf with thousands of servers and domains keeps 8 and 16", () => {
  const conf = parseResolvConf(
    "nameserver 1.1.1.1\n".repeat(5000) + "search" + " x.test".repeat(5000),
  );
  assertStrictEquals(conf.servers.length, 8);
  assertStrictEquals(conf.search.length, 16);
});

const LISTS: [text: string, servers: object[]][] = [
  ["", []],
  ["127.0.0.1", [at("127.0.0.1")]],
  ["127.0.0.1,::1 , 10.0.0.1:5353", [at("127.0.0.1"), at("::1"), at("10.0.0.1", 5353)]],
  ["[::1]:5353 [2001:db8::1]", [at("::1", 5353), at("2001:db8::1")]],
  ["::1%lo 2001:db8::1%eth0 febf::1%lo", [at("::1"), at("2001:db8::1"), at("febf::1%lo")]],
  ["fe80::1%eth0 [fe80::2%eth0]:54", [at("fe80::1%eth0"), at("fe80::2%eth0", 54)]],
  ["127.0.0.1.127.0.0.2.10.0.0.3", [at("127.0.0.1"), at("127.0.0.2"), at("10.0.0.3")]],
  ["0.0.0.0:99", [at("127.0.0.1", 99)]],
];
for (const [text, servers] of LISTS) {
  test(`the server list "${text}" is understood`, () => {
    assertEquals(parseServerList(text), servers);
  });
}

const BAD_LISTS: [text: string, message: RegExp][] = [
  ["dns.example", /not an IP address at byte 0/],
  ["127.0.0.1 1", /not an IP address at byte 10/],
  ["127.0.0.1:0", /port: not from 1 to 65535/],
  ["127.0.0.1:65536", /port: not from 1 to 65535/],
  ["127.0.0.1:", /not an IP address/],
  ["[127.0.0.1]:53", /not an IP address/],
  ["1.2.3.4.5", /not an IP address/],
  ["1.2.3.4.5.6.7.256", /not an IP address/],
  ["[::1]53", /not an IP address/],
];
for (const [text, message] of BAD_LISTS) {
  test(`the server list "${text}" is refused`, () => {
    assertThrows(() => parseServerList(text), Error, message);
  });
}
