/** Random and mutated hellos: for any bytes, the parser returns or throws `DecodeError`, with the same
 *  result if the bytes come one by one. FUZZ_RUNS sets the number of hellos. */

import { assert, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
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
import { anyBytes, damaged, decoded, forAll, mostly, runs } from "./properties.ts";

const RUNS = runs(100_000);

const MADE = message([
  serverName(hostName("x", 3), hostName("a.example")),
  protocols("h2", "smtp"),
  extension(43, Uint8Array.of(2, 3, 4)),
  extension(51, u16(0)),
]);
const SEEDS = [OPENSSL, OPENSSL_TLS12, CURL, records(MADE), records(MADE, 30), records(message())];

const HELLOS = mostly(damaged(SEEDS, { edits: [0, 3] }), 20, anyBytes(60));

test(`${RUNS} mutated hellos are read or refused`, { timeout: 600_000 }, () => {
  const counts = { incomplete: 0, other: 0, read: 0, refused: 0 };
  let run = 0;
  forAll(RUNS, HELLOS, (bytes) => {
    const gathered = gatherHello(bytes);
    if (run++ % 100 === 0) onByteByByte(bytes, gathered.is);
    if (gathered.is !== "whole") {
      counts[gathered.is]++;
      return;
    }
    const hello = decoded(
      () => decodeClientHello(gathered.message),
      /^client hello: [A-Za-z ]+: .* at byte \d+$/,
    );
    counts[hello ? "read" : "refused"]++;
    if (!hello) return;
    const { serverName, alpn, versions } = hello;
    assert(serverName === undefined || (serverName.length > 0 && serverName.length < 256));
    assert(alpn.every((name) => name.length > 0 && name.length < 256));
    assert(versions.length > 0);
  });
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
