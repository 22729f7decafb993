import { assert, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { ipBytes, ipFamily, reverseName, sameAddress } from "../../../src/codec/dns/reverse.ts";

const NAMES: [ip: string, name: string][] = [
  ["192.0.2.7", "7.2.0.192.in-addr.arpa"],
  ["255.0.0.1", "1.0.0.255.in-addr.arpa"],
  ["::ffff:192.0.2.7", "7.2.0.192.in-addr.arpa"],
  [
    "2001:db8::567:89ab",
    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  ],
  ["fe80::1%eth0", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa"],
];
for (const [ip, name] of NAMES) {
  test(`the reverse name of ${ip} is ${name}`, () => assertStrictEquals(reverseName(ip), name));
}

test("text that is not an address has no reverse name", () => {
  for (
    const text of [
      "",
      "1.2.3",
      "1.2.3.4%eth0",
      "host",
      "1.2.3.256",
      "::1%",
      "::1%a b",
      "::1%%",
      "::1%eth0.search.test",
    ]
  ) {
    assertStrictEquals(ipBytes(text), undefined, text);
    assertStrictEquals(ipFamily(text), undefined, text);
    assertThrows(() => reverseName(text), Error, /not an address/, text);
  }
});

test("all spellings of an address are equal", () => {
  assert(sameAddress("2001:DB8:0:0:0:0:0:1", "2001:db8::1"));
  assert(sameAddress("::ffff:10.0.0.1", "10.0.0.1"));
  assert(sameAddress("fe80::1%eth0", "fe80::1"));
  assert(!sameAddress("::1", "127.0.0.1"));
  assert(!sameAddress("x", "x"));
});
