import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { DecodeError, latin1 } from "../../src/codec/bytes.ts";
import {
  addressKey,
  formatIp,
  formatIpFull,
  formatNetwork,
  inNetwork,
  maskIp,
  networkKey,
  networkOfKey,
  parseIp,
  parseNetwork,
  ruleNetwork,
  unmapIp,
} from "../../src/codec/ip.ts";

test("every form of an address is read, and written in the one form of RFC 5952", () => {
  const rows: [text: string, compact: string, full: string][] = [
    ["0.0.0.0", "0.0.0.0", "0.0.0.0"],
    ["192.0.2.255", "192.0.2.255", "192.0.2.255"],
    ["::", "::", "0000:0000:0000:0000:0000:0000:0000:0000"],
    ["::1", "::1", "0000:0000:0000:0000:0000:0000:0000:0001"],
    ["1::", "1::", "0001:0000:0000:0000:0000:0000:0000:0000"],
    ["2001:db8::1", "2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001"],
    ["2001:0db8:0000:1::", "2001:db8:0:1::", "2001:0DB8:0000:0001:0000:0000:0000:0000"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3", "0001:0000:0000:0002:0000:0000:0000:0003"],
    ["1:0:0:2:3:0:0:4", "1::2:3:0:0:4", "0001:0000:0000:0002:0003:0000:0000:0004"],
    ["1:2:3:0:5:6:7:8", "1:2:3:0:5:6:7:8", "0001:0002:0003:0000:0005:0006:0007:0008"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", "0001:0002:0003:0004:0005:0006:0007:0000"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", "0000:0002:0003:0004:0005:0006:0007:0008"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1", "0000:0000:0000:0000:0000:FFFF:C000:0201"],
    ["::FFFF:c000:201", "::ffff:192.0.2.1", "0000:0000:0000:0000:0000:FFFF:C000:0201"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221", "0064:FF9B:0000:0000:0000:0000:C000:0221"],
    ["1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201", "0001:0002:0003:0004:0005:0006:C000:0201"],
  ];
  for (const [text, compact, full] of rows) {
    const ip = parseIp(text);
    assertStrictEquals(formatIp(ip), compact, text);
    assertStrictEquals(formatIpFull(ip), full, text);
    assertEquals(parseIp(compact), ip, text);
    assertEquals(parseIp(full), ip, text);
  }
});

test("any other text is not an address", () => {
  const texts = [
    ...["", " ", ".", "...", "1", "1.2", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5", ".1.2.3.4"],
    ...["01.2.3.4", "1.2.3.00", "256.1.1.1", "1.2.3.999", "1.2.3.-4", "1.2.3.+4", "0x1.2.3.4"],
    ...["1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n", "1e1.2.3.4", "１.2.3.4", "1.2.3.4%eth0", "1..2.3"],
    ...[":", ":::", "::::", "1:::2", "1::2::3", ":1::2", "1::2:", "12345::", "::12zz", "g::"],
    ...["1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:", ":1:2:3:4:5:6:7:8"],
    ...["1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "fe80::1%eth0", "fe80::%1"],
    ...["::1.2.3", "::1.2.3.4.5", "::1.2.3.256", "1.2.3.4::", "1.2.3.4:1::", "::1.2.3.4:5"],
    ...[
      "1:2:3:4:5:6:7:1.2.3.4",
      "[::1]",
      "::1/64",
      "::-1",
      ":: 1",
      "0".repeat(46),
      "::" + "0:".repeat(90),
    ],
  ];
  for (const text of texts) {
    assertThrows(() => parseIp(text), DecodeError, undefined, JSON.stringify(text));
  }
});

test("an IPv4-mapped address counts and matches as the IPv4 address it maps", () => {
  const mapped = parseIp("::ffff:10.1.2.3");
  const plain = parseIp("10.1.2.3");
  assertEquals(unmapIp(mapped), plain);
  assertEquals(unmapIp(plain), plain);
  assertStrictEquals(addressKey(mapped), addressKey(plain));
  assertStrictEquals(addressKey(plain).length, 16);
  assertNotStrictEquals(addressKey(plain), addressKey(parseIp("::10.1.2.3")));
  assert(inNetwork(mapped, parseNetwork("10.0.0.0/8")));
  assert(!inNetwork(mapped, parseNetwork("::/0")));
  assertEquals(parseNetwork("::ffff:10.0.0.0/104"), parseNetwork("10.0.0.0/8"));
});

test("network keys are those of the specification, byte for byte", () => {
  const rows: [text: string, key: string, shown: string][] = [
    ["10.0.0.0/8", "_0000e0g0", "10./8"],
    ["2001:db8:1::/48", "^00`000000000000a0000bc0de0fgh000000000000000000i", "2001:db8:1::/48"],
    ["255.255.255.255/32", "_abcdefghijklmnopqrstuvwxyz123456", "255.255.255.255/32"],
    ["172.16.0.0/12", "_a0c0ef00000l", "172.16./12"],
    ["192.168.1.0/24", "_ab000000i0k0m0000000000x", "192.168.1./24"],
    ["128.0.0.0/1", "_a", "128./1"],
    ["0.0.0.0/0", "_", "/0"],
    ["::/0", "^", "::/0"],
    ["8000::/1", "^`", "8000::/1"],
  ];
  for (const [text, key, shown] of rows) {
    const net = parseNetwork(text);
    assertStrictEquals(latin1(networkKey(net)), key, text);
    assertStrictEquals(ruleNetwork(net), shown);
    assertEquals(networkOfKey(networkKey(net)), net);
  }
  const ones = networkKey(parseNetwork("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"));
  assertEquals([...ones.subarray(1)], Array.from({ length: 128 }, (_, k) => 96 + k));
});

test("a key that networkKey does not write is not a network", () => {
  for (
    const key of [
      "",
      "x",
      "10.",
      "_b",
      "_1",
      "_0000e0g1",
      "^a",
      "^`c",
      "_".padEnd(34, "0"),
      "_joe@1.2.3.4",
    ]
  ) {
    assertStrictEquals(networkOfKey(Uint8Array.from(key, (c) => c.charCodeAt(0))), undefined, key);
  }
});

test("networks: prefixes are checked, bits after them cleared", () => {
  assertStrictEquals(formatNetwork(parseNetwork("10.1.2.3/8")), "10.0.0.0/8");
  assertStrictEquals(formatNetwork(parseNetwork("10.1.2.3")), "10.1.2.3/32");
  assertStrictEquals(formatNetwork(parseNetwork("2001:db8:ffff::1/33")), "2001:db8:8000::/33");
  for (
    const text of [
      "10.0.0.0/33",
      "::/129",
      "10.0.0.0/",
      "10.0.0.0/08",
      "10.0.0.0/-1",
      "10.0.0.0/8/9",
      "/8",
      "10/8",
      "::/ 1",
      "10.0.0.0/1e1",
    ]
  ) {
    assertThrows(() => parseNetwork(text), DecodeError, undefined, text);
  }
});

test("membership agrees with masking, at every prefix length", () => {
  for (const text of ["203.0.113.77", "2001:db8:a5a5:5a5a:ff:1:8000:77"]) {
    const ip = parseIp(text);
    for (let prefix = 0; prefix <= 8 * ip.length; prefix++) {
      const net = { ip: maskIp(ip, prefix), prefix };
      assert(inNetwork(ip, net));
      assertEquals(networkOfKey(networkKey(net)), net);
      if (prefix === 0) continue;
      const other = ip.slice();
      other[(prefix - 1) >> 3]! ^= 0x80 >> ((prefix - 1) & 7);
      assert(!inNetwork(other, net), `${text}/${prefix}`);
    }
  }
});
