/** Mutated connections through the TLS reader: for any bytes it reports events whose lines are
 *  printable and of bounded number, the same if the bytes come in other pieces, and it never throws.
 *  FUZZ_RUNS sets the number of mutations. */

import { assert, assertEquals, assertMatch, fail } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { concat } from "../../../src/codec/bytes.ts";
import { TlsConversation, type TlsEvent } from "../../../src/codec/tls/conversation.ts";
import { eventLines } from "../../../src/codec/tls/format.ts";
import { readClientHello, readServerHello } from "../../../src/codec/tls/hello.ts";
import { ja4 } from "../../../src/codec/tls/ja4.ts";
import { u16, vec16, vec8 } from "../client_hello_samples.ts";
import { anyBytes, damaged, decoded, decodes, forAll, mostly, runs } from "../properties.ts";
import {
  bodyOf,
  handshake,
  messageOf,
  RECORDED,
  recordsOf,
  serverHello,
  serverHelloBody,
} from "./samples.ts";

const RUNS = runs(5000);

const CLIENTS = [...RECORDED.values()];
const KEY_EXCHANGE = concat([
  Uint8Array.of(3),
  u16(29),
  vec8(new Uint8Array(32)),
  u16(0x0403),
  vec16(new Uint8Array(70)),
]);
const FLIGHT = concat([
  handshake(2, serverHelloBody(serverHello({ cipherSuite: 0xc02b }))),
  handshake(11, Uint8Array.of(0, 0, 6, 0, 0, 3, 1, 2, 3)),
  handshake(12, KEY_EXCHANGE),
  handshake(13, concat([vec8(Uint8Array.of(64)), vec16(u16(0x0403)), vec16(new Uint8Array(0))])),
  handshake(14, new Uint8Array(0)),
]);
const SERVER = concat([
  recordsOf(22, FLIGHT),
  recordsOf(20, Uint8Array.of(1)),
  recordsOf(22, new Uint8Array(40)),
  recordsOf(21, Uint8Array.of(1, 0)),
]);

/** The events of both directions, fed in pieces of at most `size` bytes. */
function events(client: Uint8Array, server: Uint8Array, size: number): TlsEvent[] {
  const found: TlsEvent[] = [];
  const conversation = new TlsConversation((event) => found.push(event));
  for (const [from, bytes] of [["client", client], ["server", server]] as const) {
    for (let at = 0; at < bytes.length; at += size) {
      conversation.feed(from, bytes.subarray(at, at + size));
    }
  }
  return found;
}

const JA4 = /^t..[di]\d{4}\w\w_0{12}_0{12}$/;

/** Half of the mutations are inside the body, so that the lengths around it stay right. */
const CONNECTIONS = fc.record({
  client: fc.oneof(
    damaged(CLIENTS.map(bodyOf)).map((body) => ({
      body,
      bytes: recordsOf(22, handshake(1, body)),
    })),
    damaged(CLIENTS).map((bytes) => ({ body: undefined, bytes })),
  ),
  server: mostly(fc.constant(SERVER), 4, damaged([SERVER])),
  size: fc.integer({ min: 1, max: 9 }),
});

test(`${RUNS} mutated connections are reported`, { timeout: 3_600_000 }, () => {
  const counts = { "not TLS": 0, malformed: 0, clean: 0, fingerprints: 0, refused: 0 };
  let run = 0;
  forAll(RUNS, CONNECTIONS, ({ client: { body, bytes }, server, size }) => {
    const found = events(bytes, server, Infinity);
    const lines = found.flatMap(eventLines);
    assert(lines.length < 3000, `${lines.length} lines`);
    const text = lines.join("\n");
    if (!/^[\x20-\x7e\n]*$/.test(text)) fail(text);
    assert(text.length < 200_000, `${text.length} characters`);
    if (found.some(({ is }) => is === "not TLS")) counts["not TLS"]++;
    else if (text.includes("malformed")) counts.malformed++;
    else counts.clean++;
    if (run++ % 50 === 0) assertEquals(events(bytes, server, size), found);
    const message = body ?? messageOf(bytes).subarray(4);
    const fingerprint = decoded(() => ja4(readClientHello(message), () => "0".repeat(64)));
    counts[fingerprint === undefined ? "refused" : "fingerprints"]++;
    if (fingerprint !== undefined) assertMatch(fingerprint, JA4);
  });
  for (const [what, count] of Object.entries(counts)) {
    assert(count > RUNS / 50, `${what}: only ${count}`);
  }
});

test(`${RUNS} runs of random bytes are read as hellos or refused`, { timeout: 3_600_000 }, () => {
  forAll(RUNS, anyBytes(80), (bytes) => {
    for (const read of [readClientHello, readServerHello]) decodes(() => read(bytes));
  });
});
