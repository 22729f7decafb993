/** Mutated connections through the TLS reader: for any bytes it reports events whose lines are
 *  printable and of bounded number, the same if the bytes come in other pieces, and it never throws.
 *  FUZZ_RUNS sets the number of mutations. */

import { assert, assertEquals, assertMatch, fail } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError } from "../../../src/codec/bytes.ts";
import { TlsConversation, type TlsEvent } from "../../../src/codec/tls/conversation.ts";
import { eventLines } from "../../../src/codec/tls/format.ts";
import { readClientHello, readServerHello } from "../../../src/codec/tls/hello.ts";
import { ja4 } from "../../../src/codec/tls/ja4.ts";
import { u16, vec16, vec8 } from "../client_hello_samples.ts";
import { mutate, numbers } from "../mutate.ts";
import {
  bodyOf,
  handshake,
  messageOf,
  RECORDED,
  recordsOf,
  serverHello,
  serverHelloBody,
} from "./samples.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 5000);

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

test(`${RUNS} mutated connections are reported`, { timeout: 600_000 }, () => {
  const below = numbers(8446);
  const counts = { "not TLS": 0, malformed: 0, clean: 0, fingerprints: 0, refused: 0 };
  for (let i = 0; i < RUNS; i++) {
    const seed = CLIENTS[i % CLIENTS.length] as Uint8Array;
    // Half of the mutations are inside the body, so that the lengths around it stay right.
    const body = i % 2 === 0 ? undefined : mutate(bodyOf(seed), below);
    const client = body ? recordsOf(22, handshake(1, body)) : mutate(seed, below);
    const server = i % 4 === 0 ? mutate(SERVER, below) : SERVER;
    const found = events(client, server, Infinity);
    const lines = found.flatMap(eventLines);
    assert(lines.length < 3000, `${lines.length} lines`);
    const text = lines.join("\n");
    if (!/^[\x20-\x7e\n]*$/.test(text)) fail(text);
    assert(text.length < 200_000, `${text.length} characters`);
    if (found.some(({ is }) => is === "not TLS")) counts["not TLS"]++;
    else if (text.includes("malformed")) counts.malformed++;
    else counts.clean++;
    if (i % 50 === 0) assertEquals(events(client, server, 1 + below(9)), found);
    try {
      const hello = readClientHello(body ?? messageOf(client).subarray(4));
      assertMatch(ja4(hello, () => "0".repeat(64)), /^t..[di]\d{4}\w\w_0{12}_0{12}$/);
      counts.fingerprints++;
    } catch (error) {
      assert(error instanceof DecodeError, `${error}`);
      counts.refused++;
    }
  }
  for (const [what, count] of Object.entries(counts)) {
    assert(count > RUNS / 50, `${what}: only ${count}`);
  }
});

test(`${RUNS} runs of random bytes are read as hellos or refused`, { timeout: 600_000 }, () => {
  const below = numbers(8701);
  for (let i = 0; i < RUNS; i++) {
    const bytes = Uint8Array.from({ length: below(80) }, () => below(256));
    for (const read of [readClientHello, readServerHello]) {
      try {
        read(bytes);
      } catch (error) {
        assert(error instanceof DecodeError, `${error}`);
      }
    }
  }
});
