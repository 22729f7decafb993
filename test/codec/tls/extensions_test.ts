/** What extensions say: a row for each reader and place. */

import { assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { hex } from "../../../src/codec/bytes.ts";
import type { Place } from "../../../src/codec/tls/extension_values.ts";
import { viewExtension } from "../../../src/codec/tls/extensions.ts";
import { readClientHello } from "../../../src/codec/tls/hello.ts";
import { EXTENSIONS } from "../../../src/codec/tls/registry.ts";
import { bodyOf, RECORDED } from "./samples.ts";

const HELLO: Place = "client hello";
const RETRY: Place = "retry request";
const ANSWER: Place = "answer";
const TICKET: Place = "ticket";

const bytes = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (pair) => parseInt(pair, 16));

/** Type, place, body in hexadecimal, and what it says. */
const ROWS: [number, Place, string, string[]][] = [
  [0, HELLO, "000c 00 0009 612e6578616d706c65", ["a.example"]],
  [0, HELLO, "000d 00 0003 612e62 07 0004 01020a41", ["a.b", "type 7: ???A"]],
  [0, ANSWER, "", []],
  [1, HELLO, "03", ["2048 bytes"]],
  [1, HELLO, "09", ["unknown (9)"]],
  [2, HELLO, "", []],
  [3, HELLO, "0003 030000", ["0003030000"]],
  [4, HELLO, "", []],
  [5, HELLO, "01 0000 0001 05", [
    "ocsp (1)",
    "responder ids: empty",
    "request extensions: 1 byte: 05",
  ]],
  [5, ANSWER, "", []],
  [9, HELLO, "02 0001", ["X.509 (0)", "OpenPGP (1)"]],
  [10, HELLO, "0006 11ec 001d 4a4a", ["X25519MLKEM768 (4588)", "x25519 (29)", "GREASE (19018)"]],
  [11, HELLO, "02 0001", ["uncompressed (0)", "ansiX962_compressed_prime (1)"]],
  [12, HELLO, "03 6a0a65", ["j?e"]],
  [13, HELLO, "0004 0403 0904", ["ecdsa_secp256r1_sha256 (0x0403)", "mldsa44 (0x0904)"]],
  [14, HELLO, "0002 0001 00", ["profile 0x0001", "MKI: empty"]],
  [15, HELLO, "01", ["peer_allowed_to_send (1)"]],
  [16, HELLO, "0006 02 6832 02 1b5b", ["h2", "?["]],
  [16, ANSWER, "0003 02 6832", ["h2"]],
  [18, HELLO, "", []],
  [18, ANSWER, "0004 0002 abcd", ["2 bytes: abcd"]],
  [19, HELLO, "02 0002", ["X.509 (0)", "raw public key (2)"]],
  [20, ANSWER, "02", ["raw public key (2)"]],
  [21, HELLO, "0000", []],
  [21, HELLO, "0001", ["2 bytes: 0001"]],
  [22, HELLO, "", []],
  [23, HELLO, "", []],
  [24, HELLO, "0100 02 0102", ["version 1.0", "key parameters 1", "key parameters 2"]],
  [27, HELLO, "04 0002 0003", ["brotli (2)", "zstd (3)"]],
  [28, HELLO, "4001", ["16385 bytes"]],
  [34, HELLO, "0002 0403", ["ecdsa_secp256r1_sha256 (0x0403)"]],
  [35, HELLO, "", []],
  [35, HELLO, "abcd", ["abcd"]],
  [
    41,
    HELLO,
    "0008 0002 abcd 00000005 0003 02 eeff",
    ["identity, obfuscated age 5, 2 bytes: abcd", "binder, 2 bytes: eeff"],
  ],
  [41, ANSWER, "0001", ["selected identity: 1"]],
  [42, HELLO, "", []],
  [42, TICKET, "00004000", ["at most 16384 bytes"]],
  [43, HELLO, "04 0304 7a7a", ["TLS 1.3 (0x0304)", "GREASE (0x7a7a)"]],
  [43, ANSWER, "0304", ["TLS 1.3 (0x0304)"]],
  [43, RETRY, "0304", ["TLS 1.3 (0x0304)"]],
  [44, RETRY, "0002 abcd", ["2 bytes: abcd"]],
  [45, HELLO, "03 01 00 2a", ["psk_dhe_ke (1)", "psk_ke (0)", "GREASE (42)"]],
  [47, HELLO, "0004 0002 3000", ["2 bytes: 3000"]],
  [49, HELLO, "", []],
  [50, HELLO, "0002 0807", ["ed25519 (0x0807)"]],
  [51, HELLO, "000c 11eb 0002 0102 001d 0002 0304", [
    "SecP256r1MLKEM768 (4587), 2 bytes: 0102",
    "x25519 (29), 2 bytes: 0304",
  ]],
  [51, ANSWER, "001d 0002 0304", ["x25519 (29), 2 bytes: 0304"]],
  [51, RETRY, "0017", ["selected group: secp256r1 (23)"]],
  [54, HELLO, "02 0102", ["2 bytes: 0102"]],
  [55, HELLO, "02 0102", ["2 bytes: 0102"]],
  [56, HELLO, "02 0102", ["2 bytes: 0102"]],
  [57, HELLO, "01 01 05 4001 4001 07", ["parameter 0x1, 1 byte: 05", "parameter 0x1, 1 byte: 07"]],
  [58, HELLO, "0102", ["new session: 1", "resumption: 2"]],
  [58, ANSWER, "01", ["expected: 1"]],
  [62, HELLO, "02 0180", ["flag 0", "flag 15"]],
  [0xfd00, HELLO, "02 0033", ["key_share (51)"]],
  [0xfe0d, HELLO, "00 0001 0003 05 0001 aa 0002 bbcc", [
    "outer",
    "KDF: HKDF-SHA256 (0x0001)",
    "AEAD: ChaCha20Poly1305 (0x0003)",
    "config id: 5",
    "enc: 1 byte: aa",
    "payload: 2 bytes: bbcc",
  ]],
  [0xfe0d, HELLO, "01", ["inner"]],
  [0xfe0d, RETRY, "0102030405060708", ["confirmation: 8 bytes: 0102030405060708"]],
  [0xff01, HELLO, "00", ["empty"]],
  [13172, HELLO, "", []],
  [17613, HELLO, "0003 02 6832", ["h2"]],
  [0xca34, HELLO, "0003 02 8201", ["2 bytes: 8201"]],
  [0x8a8a, HELLO, "", []],
  [0x8a8a, HELLO, "00", ["00"]],
];
for (const [type, place, body, values] of ROWS) {
  test(`extension ${type} in a ${place}: ${body || "empty"}`, () => {
    const view = viewExtension(type, bytes(body), place);
    assertStrictEquals(view.malformed, undefined);
    assertEquals(view.values, values);
    assertStrictEquals(view.length, bytes(body).length);
  });

  test(`extension ${type} in a ${place}, cut or longer: ${body || "empty"}`, () => {
    const whole = bytes(body);
    for (let length = 0; length < whole.length; length++) {
      const view = viewExtension(type, whole.subarray(0, length), place);
      if (view.malformed !== undefined) assertMatch(view.malformed, /^extension: .* at byte \d+$/);
    }
    viewExtension(type, Uint8Array.of(...whole, 0), place);
  });
}

test("a malformed extension says why, and shows its bytes", () => {
  const view = viewExtension(10, bytes("0003 001d 00"), HELLO);
  assertEquals(view.values, ["0003001d00"]);
  assertMatch(view.malformed ?? "", /^extension: value: needs 2 bytes, 1 left at byte 4$/);
  const longer = viewExtension(28, bytes("4001 00"), HELLO);
  assertMatch(longer.malformed ?? "", /^extension: end: 1 bytes more at byte 2$/);
});

test("long values are cut, and text of the peer is printable", () => {
  const [value = ""] = viewExtension(0x1234, new Uint8Array(4000).fill(0xee), HELLO).values;
  assertStrictEquals(value, `${"ee".repeat(64)}...`);
  const long = bytes(`0203 00 0200${hex(new Uint8Array(512).fill(0x0a))}`);
  assertEquals(viewExtension(0, long, HELLO).values, [`${"?".repeat(255)}...`]);
});

test("every extension of the recorded clients is known and well formed", () => {
  for (const [client, record] of RECORDED) {
    for (const { type, body } of readClientHello(bodyOf(record)).extensions) {
      const view = viewExtension(type, body, HELLO);
      assertStrictEquals(view.malformed, undefined, `${client}: ${view.name}`);
      assertNotMatch(view.name, /^unknown/, client);
    }
  }
});

test("every number in the registry has a name in the view", () => {
  for (const [type, name] of Object.entries(EXTENSIONS)) {
    const view = viewExtension(Number(type), new Uint8Array(0), HELLO);
    assertStrictEquals(view.name, `${name} (${type})`);
  }
});
