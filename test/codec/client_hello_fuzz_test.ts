/** Random and mutated hellos: for any bytes, the parser returns or throws `DecodeError`, with the same
 *  result if the bytes come one by one. FUZZ_RUNS sets the number of hellos. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError } from "../../src/codec/bytes.ts";
import { decodeClientHello, gatherHello } from "../../src/codec/client_hello.ts";
import {
  CURL,
  extension,
  hostName,
  message,
  OPENSSL,
  OPENSSL_TLS12,
  protocols,
  records,
  serverName,
  u16,
} from "./client_hello_samples.ts";
import { numbers } from "./mutate.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 100_000);

const MADE = message([
  serverName(hostName("x", 3), hostName("a.example")),
  protocols("h2", "smtp"),
  extension(43, Uint8Array.of(2, 3, 4)),
  extension(51, u16(0)),
]);
const SEEDS = [OPENSSL, OPENSSL_TLS12, CURL, records(MADE), records(MADE, 30), records(message())];

function mutate(bytes: Uint8Array, below: (n: number) => number): Uint8Array {
  if (below(20) === 0) return Uint8Array.from({ length: below(60) }, () => below(256));
  let out = bytes.slice();
  for (let n = below(4); n > 0; n--) {
    const at = below(out.length + 1);
    const kind = below(5);
    if (kind === 0) out[at] = below(256);
    else if (kind === 1) out[at] = (out[at] ?? 0) ^ (1 << below(8));
    else if (kind === 2) out = concat([out.subarray(0, at), out.subarray(at + 1 + below(4))]);
    else if (kind === 3) out = out.slice(0, at);
    else {
      const from = below(out.length + 1);
      out = concat([out.subarray(0, at), out.subarray(from, from + below(40)), out.subarray(at)]);
    }
  }
  return out;
}

test(`${RUNS} mutated hellos are read or refused`, { timeout: 600_000 }, () => {
  const below = numbers(6066);
  const counts = { incomplete: 0, other: 0, read: 0, refused: 0 };
  for (let i = 0; i < RUNS; i++) {
    const bytes = mutate(SEEDS[i % SEEDS.length] as Uint8Array, below);
    const gathered = gatherHello(bytes);
    if (i % 100 === 0) onByteByByte(bytes, gathered.is);
    if (gathered.is !== "whole") {
      counts[gathered.is]++;
      continue;
    }
    try {
      const { serverName, alpn, versions } = decodeClientHello(gathered.message);
      counts.read++;
      assert(serverName === undefined || (serverName.length > 0 && serverName.length < 256));
      assert(alpn.every((name) => name.length > 0 && name.length < 256));
      assert(versions.length > 0);
    } catch (error) {
      assert(error instanceof DecodeError, `${error} for ${bytes}`);
      assertMatch(error.message, /^client hello: [A-Za-z ]+: .* at byte \d+$/);
      counts.refused++;
    }
  }
  for (const [what, count] of Object.entries(counts)) {
    assert(count > RUNS / 50, `${what}: only ${count}`);
  }
});

/** Asserts that a result for the first bytes does not change when more bytes come. */
function onByteByByte(bytes: Uint8Array, is: string): void {
  let said = "incomplete";
  for (let length = 0; length <= bytes.length; length++) {
    const now = gatherHello(bytes.subarray(0, length)).is;
    if (said !== "incomplete") assertStrictEquals(now, said);
    said = now;
  }
  assertStrictEquals(said, is);
}
