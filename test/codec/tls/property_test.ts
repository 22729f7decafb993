/** Properties of the TLS reader: what is written is read, a fingerprint depends on what it should, and
 *  records are followed in pieces of any size. FUZZ_RUNS sets the number of values. */

import { assertEquals } from "@std/assert";
import fc, { type Arbitrary } from "fast-check";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { concat } from "../../../src/codec/bytes.ts";
import { type RecordEvent, TlsConversation } from "../../../src/codec/tls/conversation.ts";
import {
  type ClientHelloMessage,
  readClientHello,
  readServerHello,
} from "../../../src/codec/tls/hello.ts";
import { ja4 } from "../../../src/codec/tls/ja4.ts";
import { u16, vec16, vec8 } from "../client_hello_samples.ts";
import { forAll, runs } from "../properties.ts";
import { clientHelloBody, handshake, recordsOf, RETRY_RANDOM, serverHelloBody } from "./samples.ts";

const RUNS = runs(500);

const u8 = fc.integer({ min: 0, max: 0xff });
const number16 = fc.integer({ min: 0, max: 0xffff });
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const extensions = fc.array(fc.record({ type: number16, body: bytes(0, 60) }), { maxLength: 20 });
const common = { legacyVersion: number16, random: bytes(32, 32), sessionId: bytes(0, 32) };

const CLIENT: Arbitrary<ClientHelloMessage> = fc.record({
  ...common,
  cipherSuites: fc.array(number16, { maxLength: 40 }),
  compressionMethods: fc.array(u8, { maxLength: 4 }),
  extensions,
});

test("any ClientHello that is written is read", () => {
  forAll(RUNS, CLIENT, (hello) => assertEquals(readClientHello(clientHelloBody(hello)), hello));
});

test("any ServerHello that is written is read", () => {
  const hellos = fc.record({
    ...common,
    random: fc.oneof(bytes(32, 32), fc.constant(RETRY_RANDOM)),
    cipherSuite: number16,
    compressionMethod: u8,
    extensions,
  });
  forAll(RUNS, hellos, (hello) => {
    const retry = hello.random === RETRY_RANDOM;
    assertEquals(readServerHello(serverHelloBody(hello)), { ...hello, retry });
  });
});

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const grease = fc.integer({ min: 0, max: 15 }).map((i) => 0x0a0a + i * 0x1010);
const distinct = (values: Arbitrary<number>): Arbitrary<number[]> =>
  fc.array(values, { maxLength: 20 }).map((list) => [...new Set(list)]);
const isOther = (value: number): boolean => (value & 0x0f0f) !== 0x0a0a;
const list16 = (values: readonly number[]): Uint8Array => vec16(concat(values.map(u16)));

test("a fingerprint does not depend on GREASE, orders, random and server name", () => {
  const offers = fc.record({
    suites: distinct(number16.filter(isOther)),
    types: distinct(number16.filter((type) => isOther(type) && ![13, 16, 43].includes(type))),
    signatures: fc.array(number16.filter(isOther), { maxLength: 10 }),
    greases: fc.array(grease, { minLength: 4, maxLength: 4 }),
    randoms: fc.tuple(bytes(32, 32), bytes(32, 32)),
    name: bytes(0, 20),
  });
  forAll(RUNS, offers, ({ suites, types, signatures, greases, randoms, name }) => {
    const [a = 0, b = 0, c = 0, d = 0] = greases;
    const offer = (
      order: <T>(list: T[]) => T[],
      extra: readonly number[][],
      random: Uint8Array,
    ) => {
      const [ciphers = [], more = [], algorithms = []] = extra;
      const bodies: Record<number, Uint8Array> = {
        0: random,
        13: list16([...algorithms, ...signatures]),
        16: vec16(vec8(Uint8Array.of(0x68, 0x32))),
        43: vec8(concat([...more, 0x0304, 0x0303].map(u16))),
      };
      return ja4({
        legacyVersion: 0x0303,
        random,
        sessionId: new Uint8Array(0),
        cipherSuites: [...ciphers, ...order(suites)],
        compressionMethods: [0],
        extensions: [...more, ...order([...types, 13, 16, 43])]
          .map((type) => ({ type, body: bodies[type] ?? name })),
      }, sha256);
    };
    const plain = offer((list) => list, [], randoms[0]);
    assertEquals(offer((list) => list.toReversed(), [[a], [b, c], [d]], randoms[1]), plain);
  });
});

test("records are followed in pieces of any size", () => {
  const content = fc.oneof(
    CLIENT.map((hello) => recordsOf(22, handshake(1, clientHelloBody(hello)), 300)),
    bytes(1, 40).map((body) => recordsOf(23, body)),
    fc.tuple(u8, u8).map((alert) => recordsOf(21, Uint8Array.from(alert))),
  );
  const flights = fc.tuple(
    fc.array(content, { maxLength: 4 }),
    fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
  );
  forAll(RUNS, flights, ([records, sizes]) => {
    const flight = concat(records);
    const follow = (pieces: readonly number[]): RecordEvent[] => {
      const found: RecordEvent[] = [];
      const conversation = new TlsConversation((event) => {
        if (event.is === "record") found.push(event);
      });
      for (let at = 0, i = 0; at < flight.length; i++) {
        const size = pieces[i % pieces.length] as number;
        conversation.feed("client", flight.subarray(at, at += size));
      }
      return found;
    };
    const whole = follow([Math.max(1, flight.length)]);
    assertEquals(follow(sizes), whole);
    assertEquals(whole.reduce((sum, { length }) => sum + 5 + length, 0), flight.length);
  });
});
