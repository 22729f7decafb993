/** Socket addresses, compared with the layout of a C compiler. */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError, hex } from "../../src/codec/bytes.ts";
import { parseIp } from "../../src/codec/ip.ts";
import { addressFamily, decodeSockaddr, encodeSockaddr } from "../../src/codec/sockaddr.ts";

const V4 = { ip: parseIp("192.0.2.1"), port: 443, scopeId: 0 };
const V6 = { ip: parseIp("fe80::1:2"), port: 0x1234, scopeId: 3 };
const TABLE = [
  ["linux", V4, "0200" + "01bb" + "c0000201" + "00".repeat(8)],
  ["darwin", V4, "1002" + "01bb" + "c0000201" + "00".repeat(8)],
  ["linux", V6, "0a00" + "1234" + "00000000" + "fe800000000000000000000000010002" + "03000000"],
  ["darwin", V6, "1c1e" + "1234" + "00000000" + "fe800000000000000000000000010002" + "03000000"],
] as const;

test("addresses are laid out as the system has them, and read back", () => {
  for (const [flavour, address, bytes] of TABLE) {
    assertStrictEquals(hex(encodeSockaddr(address, flavour)), bytes);
    assertEquals(decodeSockaddr(encodeSockaddr(address, flavour), flavour), address);
  }
});

test("every truncation is refused", () => {
  for (const [flavour, address] of TABLE) {
    const bytes = encodeSockaddr(address, flavour);
    for (let cut = 0; cut < bytes.length; cut++) {
      assertThrows(() => decodeSockaddr(bytes.subarray(0, cut), flavour), DecodeError);
    }
  }
});

test("an address of another family is refused, with its number", () => {
  const unix = Uint8Array.of(1, 0, 0x2f, 0x61);
  assertThrows(() => decodeSockaddr(unix, "linux"), Error, /family: 1 is neither IPv4 nor IPv6/);
  assertThrows(
    () => decodeSockaddr(Uint8Array.of(16, 10), "darwin"),
    Error,
    /family: 10 is neither/,
  );
});

test("IPv6 has one family number on Linux and another on macOS", () => {
  assertEquals([addressFamily(4, "linux"), addressFamily(16, "linux")], [2, 10]);
  assertEquals([addressFamily(4, "darwin"), addressFamily(16, "darwin")], [2, 30]);
});

test("an IPv4 address has no scope", () => {
  const bytes = encodeSockaddr({ ...V4, scopeId: 7 }, "linux");
  assertStrictEquals(decodeSockaddr(bytes, "linux").scopeId, 0);
});
