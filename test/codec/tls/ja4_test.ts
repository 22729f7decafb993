/** JA4 against the values in FoxIO's description. */

import { assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { concat, DecodeError } from "../../../src/codec/bytes.ts";
import type { ClientHelloMessage } from "../../../src/codec/tls/hello.ts";
import { readClientHello } from "../../../src/codec/tls/hello.ts";
import { ja4 } from "../../../src/codec/tls/ja4.ts";
import { u16, vec16, vec8 } from "../client_hello_samples.ts";
import { bodyOf, clientHello, RECORDED } from "./samples.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const codes = (text: string): number[] => text.split(",").map((code) => parseInt(code, 16));
const list = (values: readonly number[]): Uint8Array => concat(values.map(u16));

/** The lists of the description's example. */
const SUITES = codes("1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035");
const EXTENSIONS = codes(
  "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015",
);
const SIGNATURES = codes("0403,0804,0401,0503,0805,0501,0806,0601");

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const alpn = (...names: Uint8Array[]): Uint8Array => vec16(concat(names.map(vec8)));

interface Offer {
  suites?: readonly number[];
  types?: readonly number[];
  signatures?: readonly number[];
  versions?: readonly number[];
  protocols?: Uint8Array;
}

function hello(offer: Offer = {}): ClientHelloMessage {
  const { suites = SUITES, types = EXTENSIONS, signatures = SIGNATURES, versions = [0x0304] } =
    offer;
  const bodies: Record<number, Uint8Array> = {
    13: vec16(list(signatures)),
    16: offer.protocols ?? alpn(bytes("h2"), bytes("http/1.1")),
    43: vec8(list(versions)),
  };
  return clientHello({
    cipherSuites: suites,
    extensions: types.map((type) => ({ type, body: bodies[type] ?? new Uint8Array(0) })),
  });
}

const without = (...left: number[]): number[] => EXTENSIONS.filter((type) => !left.includes(type));

const ROWS: [string, ClientHelloMessage, string][] = [
  ["the example", hello(), "t13d1516h2_8daaf6152771_e5627efa2ab1"],
  [
    "GREASE in every list",
    hello({
      suites: [0x0a0a, ...SUITES],
      types: [0x1a1a, ...EXTENSIONS, 0xfafa],
      signatures: [0x2a2a, ...SIGNATURES],
      versions: [0xdada, 0x0304, 0x0303],
    }),
    "t13d1516h2_8daaf6152771_e5627efa2ab1",
  ],
  [
    "other orders of suites and extensions",
    hello({ suites: SUITES.toReversed(), types: EXTENSIONS.toReversed() }),
    "t13d1516h2_8daaf6152771_e5627efa2ab1",
  ],
  ["no signature algorithms", hello({ signatures: [] }), "t13d1516h2_8daaf6152771_6d807ffa2a79"],
  ["no server name", hello({ types: without(0) }), "t13i1515h2_8daaf6152771_e5627efa2ab1"],
  ["no ALPN", hello({ types: without(16) }), "t13d151500_8daaf6152771_e5627efa2ab1"],
  ["no extensions", hello({ types: [] }), "t12i150000_8daaf6152771_000000000000"],
  ["no suites", hello({ suites: [] }), "t13d0016h2_000000000000_e5627efa2ab1"],
  ["only server name and ALPN", hello({ types: [0, 16] }), "t12d1502h2_8daaf6152771_000000000000"],
  ["an unknown version", hello({ versions: [0x7f1c] }), "t00d1516h2_8daaf6152771_e5627efa2ab1"],
  ["SSL 3.0", hello({ versions: [0x0300] }), "ts3d1516h2_8daaf6152771_e5627efa2ab1"],
];
for (const [what, offer, expected] of ROWS) {
  test(`the fingerprint with ${what}`, () => assertStrictEquals(ja4(offer, sha256), expected));
}

test("more than 99 suites count as 99", () => {
  const suites = Array.from({ length: 120 }, (_, i) => i);
  assertMatch(ja4(hello({ suites }), sha256), /^t13d9916h2_/);
});

const PROTOCOLS: [number[], string][] = [
  [[], "00"],
  [[0xab], "ab"],
  [[0x20], "20"],
  [[0x68], "hh"],
  [[0xab, 0xcd], "ad"],
  [[0x20, 0x61], "21"],
  [[0x30, 0xab], "3b"],
  [[0x61, 0x20], "60"],
  [[0x30, 0x31, 0xab, 0xcd], "3d"],
  [[0x30, 0xab, 0xcd, 0x31], "01"],
  [[...bytes("http/1.1")], "h1"],
];
for (const [name, shown] of PROTOCOLS) {
  test(`a first protocol of the bytes [${name}] is shown as ${shown}`, () => {
    const offer = hello({ protocols: alpn(Uint8Array.from(name)) });
    assertStrictEquals(ja4(offer, sha256).slice(8, 10), shown);
  });
}

test("an empty list of protocols is shown as 00", () => {
  assertStrictEquals(ja4(hello({ protocols: alpn() }), sha256).slice(8, 10), "00");
});

test("the fingerprints of the recorded clients", () => {
  const found = [...RECORDED].map(([client, record]): [string, string] => [
    client,
    ja4(readClientHello(bodyOf(record)), sha256),
  ]);
  const starts = Object.fromEntries(found.map(([client, value]) => [client, value.split("_")[0]]));
  assertEquals(starts, {
    bun: "t13d1811h2",
    chromium: "t13d1517h2",
    curl: "t13d3112h2",
    deno: "t13d1011h2",
    gnutls: "t13d2914h2",
    go: "t13d1910h2",
    java: "t13d3713h2",
    openssl: "t13d3111h2",
    openssl_rare: "t13d311500",
    openssl_resumption: "t13d311200",
    openssl_tls12: "t12i280600",
    python: "t13d181100",
  });
});

test("a malformed extension is an error, not a fingerprint", () => {
  const extensions = [{ type: 13, body: Uint8Array.of(0, 3, 4) }];
  assertThrows(() => ja4(clientHello({ extensions }), sha256), DecodeError);
});
