import { assert, assertEquals, assertStrictEquals, assertThrows, fail } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError, fromLatin1 } from "../../../src/codec/bytes.ts";
import { crc32c } from "../../../src/codec/proxy/crc32c.ts";
import type { ProxyHeader } from "../../../src/codec/proxy/header.ts";
import { beginsLikeProxy, decodeProxy } from "../../../src/codec/proxy/proxy.ts";
import { encodeProxyV1 } from "../../../src/codec/proxy/v1.ts";
import { encodeProxyV2 } from "../../../src/codec/proxy/v2.ts";
import { BODY4, FOUR, header, RICH, SIX, tlv, unhex, v2 } from "./samples.ts";

const NONE: ProxyHeader = { extras: {} };
const line = (text: string): Uint8Array => fromLatin1(`${text}\r\n`);

const ACCEPTED: [string, Uint8Array, ProxyHeader][] = [
  [
    "the example of the specification",
    line("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443"),
    header("192.168.0.1", 56324, "192.168.0.11", 443),
  ],
  [
    "the longest line of IPv4",
    line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535"),
    header("255.255.255.255", 65535, "255.255.255.255", 65535),
  ],
  [
    "the longest line of IPv6",
    line(`PROXY TCP6 ${"ffff:".repeat(7)}ffff ${"FFFF:".repeat(7)}FFFF 65535 65535`),
    header(`${"ffff:".repeat(7)}ffff`, 65535, `${"ffff:".repeat(7)}ffff`, 65535),
  ],
  ["ports of 0", line("PROXY TCP6 :: ::1 0 0"), header("::", 0, "::1", 0)],
  [
    "an IPv4 client of a dual-stack socket",
    line("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 2"),
    header("::ffff:192.0.2.7", 1, "::ffff:192.0.2.1", 2),
  ],
  ["the short UNKNOWN", line("PROXY UNKNOWN"), NONE],
  ["the longest UNKNOWN", line(`PROXY UNKNOWN ${"x".repeat(91)}`), NONE],
  ["UNKNOWN with addresses, which do not count", line("PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2"), NONE],
  ["version 2, TCP over IPv4", v2(0x21, 0x11, BODY4), FOUR],
  [
    "version 2, TCP over IPv6",
    v2(
      0x21,
      0x21,
      unhex("20010db8000000000000000000000007 20010db8000000000000000000000001 0001ffff"),
    ),
    SIX,
  ],
  ["LOCAL", v2(0x20, 0, new Uint8Array(0)), NONE],
  ["LOCAL with a block, which is discarded", v2(0x20, 0xff, unhex("03")), NONE],
  ["PROXY of no family", v2(0x21, 0, unhex("ffffff")), NONE],
  ["UDP, which falls back to the real addresses", v2(0x21, 0x12, BODY4), NONE],
  ["UNIX, which falls back too", v2(0x21, 0x31, new Uint8Array(216)), NONE],
  [
    "TLVs that are not known, repeated",
    v2(
      0x21,
      0x11,
      concat([BODY4, tlv(0xe0, "a"), tlv(0xe0, "b"), tlv(4, ""), tlv(4, "xx"), tlv(0x30, "ns")]),
    ),
    FOUR,
  ],
  [
    "an authority and a unique id",
    v2(0x21, 0x11, concat([BODY4, tlv(2, "www.example"), tlv(5, "id")])),
    { ...FOUR, extras: { authority: "www.example", uniqueId: fromLatin1("id") } },
  ],
  [
    "TLS of the proxy, without a certificate",
    v2(
      0x21,
      0x11,
      concat([
        BODY4,
        tlv(0x20, concat([unhex("01 00000001"), tlv(0x21, "TLSv1.2"), tlv(0x2f, "?")])),
      ]),
    ),
    {
      ...FOUR,
      extras: {
        tls: {
          used: true,
          certificateNow: false,
          certificateBefore: false,
          verify: 1,
          version: "TLSv1.2",
        },
      },
    },
  ],
];

for (const [what, bytes, expected] of ACCEPTED) {
  test(`${what}: read`, () => {
    const rest = fromLatin1("\x16\x03\x01 the client's own bytes");
    const decoded = decodeProxy(concat([bytes, rest]));
    assertEquals(decoded, { header: expected, length: bytes.length });
    assertEquals(decodeProxy(bytes), decoded);
    assertStrictEquals(beginsLikeProxy(bytes), "yes");
  });

  test(`${what}: waited for at every length`, () => {
    for (let length = 0; length < bytes.length; length++) {
      assertStrictEquals(decodeProxy(bytes.subarray(0, length)), undefined);
    }
  });
}

const TLS = tlv(0x20, concat([unhex("07 00000000"), tlv(0x21, "TLSv1.2")]));
const READ_TLS = {
  used: true,
  certificateNow: true,
  certificateBefore: true,
  verify: 0,
  version: "TLSv1.2",
};

/** TLVs that the decoder leaves out. Each comes with one that it keeps. */
const LEFT_OUT: [string, Uint8Array][] = [
  ...([["alpn", 1], ["authority", 2]] as const).flatMap(([name, type]): [string, Uint8Array][] => [
    [`an empty ${name}`, tlv(type, "")],
    [`a long ${name}`, tlv(type, "x".repeat(257))],
  ]),
  ["an authority in ISO 8859-1", tlv(2, "J\xf6rg")],
  ["a unique id of 129 bytes", tlv(5, "x".repeat(129))],
];
for (const [what, bytes] of LEFT_OUT) {
  test(`${what} is left out, and the rest counts`, () => {
    const { header } = decodeProxy(v2(0x21, 0x11, concat([BODY4, bytes, TLS]))) ?? fail();
    assertEquals(header, { ...FOUR, extras: { tls: READ_TLS } });
  });
}

for (const [what, name] of [["empty", ""], ["long", "c".repeat(300)], ["not UTF-8", "J\xf6rg"]]) {
  test(`a common name that is ${what} is left out, and the rest counts`, () => {
    const tls = concat([unhex("07 00000000"), tlv(0x22, name as string), tlv(0x21, "TLSv1.2")]);
    const { header } = decodeProxy(v2(0x21, 0x11, concat([BODY4, tlv(0x20, tls)]))) ??
      fail();
    assertEquals(header, { ...FOUR, extras: { tls: READ_TLS } });
  });
}

test("a header as long as its length field allows is read", () => {
  const bytes = v2(0x21, 0x11, concat([BODY4, tlv(0xe0, "D".repeat(0xffff - BODY4.length - 3))]));
  assertEquals(decodeProxy(bytes), { header: FOUR, length: 16 + 0xffff });
});

const REFUSED: [string, Uint8Array, RegExp][] = [
  ["a ClientHello", unhex("160301"), /^proxy: signature: of neither version at byte 0$/],
  ["plain text", fromLatin1("EHLO x"), /signature/],
  ["a lower case word", line("proxy TCP4 1.2.3.4 1.2.3.4 1 2"), /signature/],
  ["two blanks after the word", line("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2"), /protocol: not TCP4/],
  ["UDP4", line("PROXY UDP4 1.2.3.4 1.2.3.4 1 2"), /protocol: not TCP4/],
  ["UNKNOWN with a letter more", line("PROXY UNKNOWNS"), /protocol: not TCP4/],
  ["a tab for a blank", line("PROXY TCP4\t1.2.3.4 1.2.3.4 1 2"), /protocol: not TCP4/],
  ["three fields", line("PROXY TCP4 1.2.3.4 1.2.3.4 1"), /not four fields/],
  ["five fields", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3"), /not four fields/],
  ["a blank at the end", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 "), /not four fields/],
  ["two blanks between fields", line("PROXY TCP4 1.2.3.4  1.2.3.4 1 2"), /not four fields/],
  ["a zero in front", line("PROXY TCP4 01.2.3.4 1.2.3.4 1 2"), /source address: not an address/],
  [
    "an octet of 256",
    line("PROXY TCP4 1.2.3.4 1.2.3.256 1 2"),
    /destination address: not an address/,
  ],
  ["an IPv6 address for TCP4", line("PROXY TCP4 ::1 1.2.3.4 1 2"), /source address/],
  ["an IPv4 address for TCP6", line("PROXY TCP6 ::1 1.2.3.4 1 2"), /destination address/],
  ["a zone", line("PROXY TCP6 fe80::1%lo ::1 1 2"), /source address/],
  ["a port of 65536", line("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2"), /source port: not a number/],
  ["a port with a zero in front", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 02"), /destination port/],
  ["a negative port", line("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2"), /source port/],
  ["an empty port", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 "), /destination port/],
  ["LF alone", fromLatin1("PROXY UNKNOWN\n"), /CR and LF apart at byte 13/],
  ["CR alone", fromLatin1("PROXY UNKNOWN\rx"), /CR and LF apart at byte 13/],
  ["a line of 108 bytes", line(`PROXY UNKNOWN ${"x".repeat(92)}`), /no end within 107 bytes/],
  ["a line without an end", fromLatin1(`PROXY UNKNOWN ${"x".repeat(93)}`), /no end within 107/],
  ["version 1 in the binary form", v2(0x11, 0x11, BODY4), /version: not 2 at byte 12/],
  ["an unknown command", v2(0x22, 0x11, BODY4), /command: neither LOCAL nor PROXY at byte 12/],
  ["an unknown family", v2(0x21, 0x41, BODY4), /transport: not a registered one at byte 13/],
  ["addresses that do not fit", v2(0x21, 0x11, BODY4.subarray(1)), /destination port: needs 2/],
  ["IPv6 with the length of IPv4", v2(0x21, 0x21, BODY4), /source address: needs 16/],
  ["a TLV beyond the end", v2(0x21, 0x11, concat([BODY4, unhex("e00002ff")])), /TLV: needs 2/],
  ["half a TLV", v2(0x21, 0x11, concat([BODY4, unhex("e0")])), /TLV length: needs 2/],
  ["two authorities", v2(0x21, 0x11, concat([BODY4, tlv(2, "a"), tlv(2, "b")])), /type 2 twice/],
  ["a checksum that is wrong", v2(0x21, 0x11, concat([BODY4, tlv(3, "abcd")])), /CRC32C: wrong/],
  ["a checksum of 3 bytes", v2(0x21, 0x11, concat([BODY4, tlv(3, "abc")])), /CRC32C: not 4 bytes/],
  ["a short TLS TLV", v2(0x21, 0x11, concat([BODY4, tlv(0x20, "abc")])), /SSL verify: needs 4/],
  [
    "two common names",
    v2(
      0x21,
      0x11,
      concat([
        BODY4,
        tlv(0x20, concat([new Uint8Array(5), tlv(0x22, "a"), tlv(0x22, "b")])),
      ]),
    ),
    /type 34 twice/,
  ],
];

for (const [what, bytes, expected] of REFUSED) {
  test(`${what}: refused`, () => {
    assertThrows(() => decodeProxy(bytes), DecodeError, expected);
  });
}

test("7 of 256 transport bytes are accepted, and only TCP gives addresses", () => {
  const taken: number[] = [];
  const telling: number[] = [];
  for (let transport = 0; transport < 256; transport++) {
    try {
      const decoded = decodeProxy(v2(0x21, transport, new Uint8Array(216)));
      taken.push(transport);
      if (decoded?.header.ends) telling.push(transport);
    } catch (error) {
      assert(error instanceof DecodeError);
    }
    assertEquals(decodeProxy(v2(0x20, transport, BODY4))?.header, NONE);
  }
  assertEquals(taken, [0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32]);
  assertEquals(telling, [0x11, 0x21]);
});

test("a wrong header is refused at the first wrong byte", () => {
  assertThrows(() => decodeProxy(fromLatin1("PRO ")), DecodeError);
  assertThrows(() => decodeProxy(unhex("0d0a0d0b")), DecodeError);
  assertThrows(() => decodeProxy(v2(0x31, 0x11, BODY4).subarray(0, 13)), DecodeError);
  assertThrows(() => decodeProxy(v2(0x21, 0x99, BODY4).subarray(0, 16)), DecodeError);
});

test("the beginning of a header is recognised byte by byte", () => {
  assertStrictEquals(beginsLikeProxy(new Uint8Array(0)), "maybe");
  assertStrictEquals(beginsLikeProxy(fromLatin1("PROXY")), "maybe");
  assertStrictEquals(beginsLikeProxy(fromLatin1("PROXY ")), "yes");
  assertStrictEquals(beginsLikeProxy(fromLatin1("PASS x")), "no");
  assertStrictEquals(beginsLikeProxy(unhex("0d0a")), "maybe");
  assertStrictEquals(beginsLikeProxy(unhex("160301")), "no");
});

test("version 1 reads back as written", () => {
  for (const one of [FOUR, SIX, NONE]) {
    assertEquals(decodeProxy(encodeProxyV1(one))?.header, one);
  }
});

test("version 2 reads back as written, with and without a checksum", () => {
  for (const one of [FOUR, SIX, RICH, NONE]) {
    for (const checksum of [false, true]) {
      const bytes = encodeProxyV2(one, { checksum });
      assertEquals(decodeProxy(bytes), { header: one, length: bytes.length });
    }
  }
});

test("any flipped bit under a checksum is found", () => {
  const bytes = encodeProxyV2(RICH, { checksum: true });
  for (let bit = 16 * 8; bit < bytes.length * 8; bit++) {
    const broken = bytes.slice();
    broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7));
    let decoded;
    try {
      decoded = decodeProxy(broken);
    } catch (error) {
      assert(error instanceof DecodeError);
      continue;
    }
    // Only one damage is not found: the checksum's type becomes another, so that there is no checksum.
    assertStrictEquals(bit >> 3, bytes.length - 7);
    assertEquals(decoded?.header, RICH);
  }
});

test("CRC-32C gives the values of RFC 3720 B.4", () => {
  assertStrictEquals(crc32c(fromLatin1("123456789")), 0xe3069283);
  assertStrictEquals(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assertStrictEquals(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
});
