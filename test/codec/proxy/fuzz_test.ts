/** Random and mutated PROXY headers: for any bytes, the decoder waits, returns or throws `DecodeError`.
 *  What it returns can be encoded and decoded again without change. The result is the same if the bytes
 *  come one by one. FUZZ_RUNS sets the number of headers. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError, fromLatin1 } from "../../../src/codec/bytes.ts";
import type { DecodedProxy } from "../../../src/codec/proxy/header.ts";
import { decodeProxy } from "../../../src/codec/proxy/proxy.ts";
import { encodeProxyV1 } from "../../../src/codec/proxy/v1.ts";
import { encodeProxyV2 } from "../../../src/codec/proxy/v2.ts";
import { BODY4, FOUR, RICH, SIX, tlv, v2 } from "./samples.ts";
import { numbers } from "../mutate.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 100_000);

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

function mutate(bytes: Uint8Array, below: (n: number) => number): Uint8Array {
  if (below(50) === 0) return Uint8Array.from({ length: below(40) }, () => below(256));
  let out = bytes.slice();
  for (let n = below(4); n > 0; n--) {
    const at = below(out.length + 1);
    const kind = below(6);
    if (kind === 0) out[at] = below(256);
    else if (kind === 1) out[at] = TASTY[below(TASTY.length)] as number;
    else if (kind === 2) out = concat([out.subarray(0, at), out.subarray(at + 1 + below(4))]);
    else if (kind === 3) out = out.slice(0, at);
    else if (kind === 4) out[at] = (out[at] ?? 0) ^ (1 << below(8));
    else {
      const from = below(out.length + 1);
      out = concat([out.subarray(0, at), out.subarray(from, from + below(20)), out.subarray(at)]);
    }
  }
  return out;
}

function check({ header, length }: DecodedProxy, bytes: Uint8Array): void {
  assert(length > 0 && length <= bytes.length);
  if (!header.ends) return;
  assertEquals(decodeProxy(encodeProxyV2(header, { checksum: true }))?.header, header);
  const plain = { ends: header.ends, extras: {} };
  assertEquals(decodeProxy(encodeProxyV1(header))?.header, plain);
}

function outcome(bytes: Uint8Array): string {
  try {
    return JSON.stringify(decodeProxy(bytes)) ?? "more";
  } catch (error) {
    assert(error instanceof DecodeError, `${error} for ${bytes}`);
    assertMatch(error.message, /^proxy(?: v[12])?: [A-Za-z0-9 ]+: .* at byte \d+$/);
    return "refused";
  }
}

test(`${RUNS} mutated headers are read, waited for or refused`, { timeout: 600_000 }, () => {
  const below = numbers(0x50524f58);
  const counts = { more: 0, read: 0, refused: 0 };
  for (let i = 0; i < RUNS; i++) {
    const bytes = mutate(SEEDS[i % SEEDS.length] as Uint8Array, below);
    if (i % 2 === 0 && bytes.length > 13) bytes[13] = i >> 1 & 255; // all transports
    let decoded: DecodedProxy | undefined;
    try {
      decoded = decodeProxy(bytes);
    } catch {
      decoded = undefined; // `outcome` tests that
    }
    if (decoded) check(decoded, bytes);
    const whole = outcome(bytes);
    counts[whole === "more" || whole === "refused" ? whole : "read"]++;
    if (i % 50 === 0) {
      let said = "more";
      for (let n = 0; n <= bytes.length && said === "more"; n++) {
        said = outcome(bytes.subarray(0, n));
      }
      assertStrictEquals(said, whole);
    }
  }
  for (const [what, count] of Object.entries(counts)) {
    assert(count > RUNS / 50, `${what}: only ${count}`);
  }
});
