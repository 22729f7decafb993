/** Random and mutated PROXY headers: for any bytes, the decoder waits, returns or throws `DecodeError`.
 *  What it returns can be encoded and decoded again without change. The result is the same if the bytes
 *  come one by one. FUZZ_RUNS sets the number of headers. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { concat, fromLatin1 } from "../../../src/codec/bytes.ts";
import type { DecodedProxy } from "../../../src/codec/proxy/header.ts";
import { decodeProxy } from "../../../src/codec/proxy/proxy.ts";
import { encodeProxyV1 } from "../../../src/codec/proxy/v1.ts";
import { encodeProxyV2 } from "../../../src/codec/proxy/v2.ts";
import { BODY4, FOUR, RICH, SIX, tlv, v2 } from "./samples.ts";
import { anyBytes, damaged, decoded, forAll, mostly, runs } from "../properties.ts";

const RUNS = runs(100_000);

const SEEDS = [
  encodeProxyV1(FOUR),
  encodeProxyV1(SIX),
  fromLatin1("PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n"),
  encodeProxyV2(FOUR),
  encodeProxyV2(SIX, { checksum: true }),
  encodeProxyV2(RICH),
  encodeProxyV2(RICH, { checksum: true }),
  v2(0x20, 0, tlv(4, "padding")),
  v2(0x21, 0x31, concat([new Uint8Array(216), tlv(2, "a.example")])),
  v2(0x21, 0x11, concat([BODY4, tlv(0xe0, "x"), tlv(2, "a.example")])),
];

/** Bytes likely to matter: the characters of the text form, lengths, separators. */
const TASTY = fromLatin1("PROXY TCP46UNKNOWN .:0159f\r\n\x00\x01\x02\x03\x05\x20\x21\x22\xff");

const HEADERS = fc.record({
  bytes: mostly(
    damaged(SEEDS, { edits: [0, 3], likely: [...TASTY].map((byte) => Uint8Array.of(byte)) }),
    50,
    anyBytes(40),
  ),
  /** The byte of family and transport, where it is replaced. */
  transport: mostly(fc.constant(undefined), 2, fc.nat({ max: 255 })),
});

function check({ header, length }: DecodedProxy, bytes: Uint8Array): void {
  assert(length > 0 && length <= bytes.length);
  if (!header.ends) return;
  assertEquals(decodeProxy(encodeProxyV2(header, { checksum: true }))?.header, header);
  const plain = { ends: header.ends, extras: {} };
  assertEquals(decodeProxy(encodeProxyV1(header))?.header, plain);
}

function outcome(bytes: Uint8Array): string {
  const pattern = /^proxy(?: v[12])?: [A-Za-z0-9 ]+: .* at byte \d+$/;
  const read = decoded(() => [decodeProxy(bytes)], pattern);
  return read ? JSON.stringify(read[0]) ?? "more" : "refused";
}

test(`${RUNS} mutated headers are read, waited for or refused`, { timeout: 600_000 }, () => {
  const counts = { more: 0, read: 0, refused: 0 };
  let run = 0;
  forAll(RUNS, HEADERS, ({ bytes, transport }) => {
    if (transport !== undefined && bytes.length > 13) {
      bytes = bytes.slice();
      bytes[13] = transport;
    }
    const found = decoded(() => decodeProxy(bytes));
    if (found) check(found, bytes);
    const whole = outcome(bytes);
    counts[whole === "more" || whole === "refused" ? whole : "read"]++;
    if (run++ % 50 === 0) {
      let said = "more";
      for (let n = 0; n <= bytes.length && said === "more"; n++) {
        said = outcome(bytes.subarray(0, n));
      }
      assertStrictEquals(said, whole);
    }
  });
  for (const [what, count] of Object.entries(counts)) {
    assert(count > RUNS / 50, `${what}: only ${count}`);
  }
});
