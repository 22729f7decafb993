/** Both directions of TLS connections, record by record, and their lines of text. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat } from "../../../src/codec/bytes.ts";
import {
  TlsConversation,
  type TlsEvent,
  type TlsSide,
} from "../../../src/codec/tls/conversation.ts";
import { dumpLines, eventLines } from "../../../src/codec/tls/format.ts";
import { u16, vec16, vec8 } from "../client_hello_samples.ts";
import {
  bodyOf,
  clientHello,
  clientHelloBody,
  handshake,
  messageOf,
  RECORDED,
  recordsOf,
  RETRY_RANDOM,
  serverHello,
  serverHelloBody,
} from "./samples.ts";

const [CCS, ALERT, HANDSHAKE, DATA] = [20, 21, 22, 23];

/** The events of pieces that are fed in this order. */
function events(pieces: readonly [TlsSide, Uint8Array][], size = Infinity): TlsEvent[] {
  const found: TlsEvent[] = [];
  const conversation = new TlsConversation((event) => found.push(event));
  for (const [from, bytes] of pieces) {
    for (let at = 0; at < bytes.length; at += size) {
      conversation.feed(from, bytes.subarray(at, at + size));
    }
  }
  return found;
}

/** The first line about each event, and the names of its messages. */
const outline = (found: readonly TlsEvent[]): string[] =>
  found.map((event) => {
    const names = event.is === "record" ? event.messages.map(({ name }) => name) : [];
    return [eventLines(event)[0], ...names].join(" > ");
  });

const selects13 = { type: 43, body: Uint8Array.of(3, 4) };
const hello13 = serverHello({ extensions: [selects13] });
const retry = serverHello({ extensions: [selects13], random: RETRY_RANDOM });
const hello12 = serverHello({ cipherSuite: 0xc02b });
const CLIENT = recordsOf(HANDSHAKE, messageOf(RECORDED.get("openssl") as Uint8Array));
const changed = recordsOf(CCS, Uint8Array.of(1));
const alert = (level: number, description: number): Uint8Array =>
  recordsOf(ALERT, Uint8Array.of(level, description));
const data = (length: number): Uint8Array => recordsOf(DATA, new Uint8Array(length));
const server = (hello: ReturnType<typeof serverHello>): Uint8Array =>
  handshake(2, serverHelloBody(hello));

const TLS13: [TlsSide, Uint8Array][] = [
  ["client", CLIENT],
  ["server", concat([recordsOf(HANDSHAKE, server(retry)), changed])],
  ["client", concat([changed, CLIENT])],
  ["server", concat([recordsOf(HANDSHAKE, server(hello13)), data(1000)])],
  ["client", concat([data(53), alert(2, 48)])],
];

test("a handshake of TLS 1.3 with a second hello is followed", () => {
  assertEquals(outline(events(TLS13)), [
    "from the client: handshake, TLS 1.2, 334 bytes > client_hello",
    "to the client: handshake, TLS 1.2, 50 bytes > hello_retry_request",
    "to the client: change_cipher_spec, TLS 1.2, 1 byte",
    "from the client: change_cipher_spec, TLS 1.2, 1 byte",
    "from the client: handshake, TLS 1.2, 334 bytes > client_hello",
    "to the client: handshake, TLS 1.2, 50 bytes > server_hello",
    "to the client: application_data, TLS 1.2, 1000 bytes, encrypted",
    "from the client: application_data, TLS 1.2, 53 bytes, encrypted",
    "from the client: alert, TLS 1.2, 2 bytes: fatal (2), unknown_ca (48)",
  ]);
});

const keyExchange = handshake(
  12,
  concat([
    Uint8Array.of(3),
    u16(29),
    vec8(new Uint8Array(32)),
    u16(0x0403),
    vec16(new Uint8Array(70)),
  ]),
);
const certificate = handshake(11, Uint8Array.of(0, 0, 6, 0, 0, 3, 1, 2, 3));
const request = handshake(
  13,
  concat([vec8(Uint8Array.of(64, 1)), vec16(u16(0x0403)), vec16(vec16(Uint8Array.of(0x30, 0)))]),
);
const TLS12: [TlsSide, Uint8Array][] = [
  ["client", CLIENT],
  [
    "server",
    recordsOf(
      HANDSHAKE,
      concat([
        server(hello12),
        certificate,
        keyExchange,
        request,
        handshake(14, new Uint8Array(0)),
      ]),
    ),
  ],
  [
    "client",
    concat([
      recordsOf(HANDSHAKE, handshake(16, vec8(new Uint8Array(32)))),
      changed,
      recordsOf(HANDSHAKE, new Uint8Array(40)),
    ]),
  ],
  [
    "server",
    concat([
      recordsOf(
        HANDSHAKE,
        handshake(4, concat([Uint8Array.of(0, 0, 28, 32), vec16(new Uint8Array(3))])),
      ),
      changed,
      recordsOf(HANDSHAKE, new Uint8Array(40)),
      data(30),
      alert(1, 0),
    ]),
  ],
];

test("a handshake of TLS 1.2 is followed until it is encrypted", () => {
  assertEquals(outline(events(TLS12)).slice(1), [
    "to the client: handshake, TLS 1.2, 190 bytes > server_hello > certificate > " +
    "server_key_exchange > certificate_request > server_hello_done",
    "from the client: handshake, TLS 1.2, 37 bytes > client_key_exchange",
    "from the client: change_cipher_spec, TLS 1.2, 1 byte",
    "from the client: handshake, TLS 1.2, 40 bytes, encrypted",
    "to the client: handshake, TLS 1.2, 13 bytes > new_session_ticket",
    "to the client: change_cipher_spec, TLS 1.2, 1 byte",
    "to the client: handshake, TLS 1.2, 40 bytes, encrypted",
    "to the client: application_data, TLS 1.2, 30 bytes, encrypted",
    "to the client: alert, TLS 1.2, 2 bytes, encrypted",
  ]);
});

test("the messages of TLS 1.2 are printed field by field", () => {
  const [, flight] = events(TLS12);
  assertEquals(eventLines(flight as TlsEvent).slice(1), [
    "  server_hello, 38 bytes",
    "    legacy_version: TLS 1.2 (0x0303)",
    `    random: 32 bytes: ${"09".repeat(32)}`,
    "    session_id: empty",
    "    cipher_suite: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (0xc02b)",
    "    compression_method: null (0)",
    "  certificate, 9 bytes",
    "    certificates: 3 bytes: 010203",
    "  server_key_exchange, 110 bytes",
    "    named_curve: x25519 (29)",
    `    public_key: 32 bytes: ${"00".repeat(32)}`,
    "    algorithm: ecdsa_secp256r1_sha256 (0x0403)",
    `    signature: 70 bytes: ${"00".repeat(64)}...`,
    "  certificate_request, 13 bytes",
    "    certificate_types:",
    "      ecdsa_sign (64)",
    "      rsa_sign (1)",
    "    signature_algorithms: ecdsa_secp256r1_sha256 (0x0403)",
    "    certificate_authorities: 2 bytes: 3000",
    "  server_hello_done, 0 bytes",
  ]);
});

test("pieces of any size give the same events", () => {
  for (const conversation of [TLS12, TLS13]) {
    const whole = events(conversation);
    for (const size of [1, 2, 3, 5, 7, 64, 333]) {
      assertEquals(events(conversation, size), whole);
    }
  }
});

test("a message in several records is read with the last of them", () => {
  const hello = messageOf(RECORDED.get("chromium") as Uint8Array);
  for (const size of [1, 3, 4, 100, hello.length - 1]) {
    const found = events([["client", recordsOf(HANDSHAKE, hello, size)]]);
    const messages = found.map((event) => event.is === "record" ? event.messages.length : -1);
    assertEquals(messages, [...messages.slice(1).fill(0), 1]);
  }
});

test("bytes that are not a record end only their direction", () => {
  const http = new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n");
  const rows: [Uint8Array, string][] = [
    [http, "474554202f"],
    [Uint8Array.of(22, 2, 0, 0, 1, 0), "1602000001"],
    [Uint8Array.of(22, 3, 1, 0x48, 1), "1603014801"],
    [Uint8Array.of(27, 3, 1, 0, 1), "1b03010001"],
  ];
  for (const [bytes, shown] of rows) {
    const found = events([["client", bytes], ["client", CLIENT], ["server", alert(2, 70)]]);
    assertEquals(outline(found), [
      `from the client: not TLS: ${shown}`,
      "to the client: alert, TLS 1.2, 2 bytes: fatal (2), protocol_version (70)",
    ]);
  }
});

test("malformed content is reported, and the next record is read", () => {
  const found = events([
    ["client", concat([Uint8Array.of(22, 3, 1, 0, 0), recordsOf(ALERT, Uint8Array.of(1))])],
    ["client", recordsOf(HANDSHAKE, handshake(1, new Uint8Array(3)))],
    ["client", recordsOf(HANDSHAKE, handshake(99, Uint8Array.of(1)))],
    ["client", CLIENT],
  ]);
  assertEquals(found.flatMap(eventLines).slice(0, 7), [
    "from the client: handshake, TLS 1.0, 0 bytes, malformed: empty record",
    "from the client: alert, TLS 1.2, 1 byte, malformed: an alert has 2 bytes",
    "from the client: handshake, TLS 1.2, 7 bytes",
    "  client_hello, 3 bytes, malformed: client hello: random: needs 32 bytes, 1 left at byte 2",
    "from the client: handshake, TLS 1.2, 5 bytes",
    "  unknown (0x63), 1 byte",
    "    data: 1 byte: 01",
  ]);
  assertMatch(outline(found).at(-1) ?? "", /client_hello$/);
});

test("a message longer than 64 KB is not kept, and the next one is read", () => {
  const long = concat([handshake(11, new Uint8Array(70_000)), server(hello13)]);
  const found = events([["server", recordsOf(HANDSHAKE, long)]]);
  const lines = found.flatMap(eventLines).filter((line) => /^ {2}\w/.test(line));
  assertEquals(lines, [
    "  certificate, 70000 bytes, malformed: longer than 65536 bytes",
    "  server_hello, 46 bytes",
  ]);
});

test("long lists are cut in the text", () => {
  const hello = clientHello({
    cipherSuites: Array.from({ length: 1000 }, () => 0x1301),
    extensions: Array.from({ length: 300 }, () => ({ type: 23, body: new Uint8Array(0) })),
  });
  const found = events([["client", recordsOf(HANDSHAKE, handshake(1, clientHelloBody(hello)))]]);
  const lines = found.flatMap(eventLines);
  assert(lines.includes("      ... and 800 more"));
  assert(lines.includes("    ... and 200 more extensions"));
  assert(lines.length < 320, `${lines.length} lines`);
});

test("lines are printable, whatever a client sends", () => {
  const evil = new TextEncoder().encode("a\nsslserver: ok\x1b[31m");
  const extensions = [
    { type: 0, body: vec16(concat([Uint8Array.of(0), vec16(evil)])) },
    { type: 16, body: vec16(vec8(evil)) },
  ];
  const body = clientHelloBody(clientHello({ extensions }));
  for (
    const line of events([["client", recordsOf(HANDSHAKE, handshake(1, body))]]).flatMap(eventLines)
  ) {
    assertMatch(line, /^[\x20-\x7e]*$/);
  }
});

test("bytes are dumped with offsets and characters", () => {
  const bytes = Uint8Array.from({ length: 18 }, (_, i) => i + 0x3a);
  assertEquals(dumpLines(bytes), [
    "0000  3a 3b 3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49  :;<=>?@ABCDEFGHI",
    "0010  4a 4b                                            JK",
  ]);
  assertEquals(dumpLines(new Uint8Array(0)), []);
  assertStrictEquals(dumpLines(new Uint8Array(20_000)).at(-1), "... and 1568 more bytes");
});

test("the body of a recorded hello is printed whole", () => {
  const record = RECORDED.get("openssl_resumption") as Uint8Array;
  const lines = events([["client", record]]).flatMap(eventLines);
  assertStrictEquals(lines[1], `  client_hello, ${bodyOf(record).length} bytes`);
  assert(lines.includes("    extension early_data (42), 0 bytes"));
  assert(lines.some((line) => line.startsWith("      binder, 48 bytes: a0f930")));
});
