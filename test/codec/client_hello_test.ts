import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError } from "../../src/codec/bytes.ts";
import { type ClientHello, decodeClientHello, gatherHello } from "../../src/codec/client_hello.ts";
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
  vec16,
  vec8,
} from "./client_hello_samples.ts";

function whole(bytes: Uint8Array): Uint8Array {
  const gathered = gatherHello(bytes);
  assertStrictEquals(gathered.is, "whole");
  return gathered.is === "whole" ? gathered.message : new Uint8Array(0);
}

const REAL: [string, Uint8Array, ClientHello][] = [
  ["openssl s_client", OPENSSL, {
    serverName: "www.example.com",
    alpn: ["h2", "http/1.1"],
    versions: [0x0304, 0x0303, 0x0302, 0x0301],
  }],
  ["openssl s_client without a name", OPENSSL_TLS12, { alpn: [], versions: [0x0303] }],
  ["curl", CURL, {
    serverName: "mail.example.org",
    alpn: ["h2", "http/1.1"],
    versions: [0x0304, 0x0303, 0x0302, 0x0301],
  }],
];

for (const [client, bytes, expected] of REAL) {
  test(`the hello of ${client} is read`, () => {
    assertEquals(decodeClientHello(whole(bytes)), expected);
  });

  test(`the hello of ${client} is waited for at every length`, () => {
    for (let length = 0; length < bytes.length; length++) {
      assertEquals(gatherHello(bytes.subarray(0, length)), { is: "incomplete" });
    }
  });

  test(`the message of ${client}, cut at any length, is refused`, () => {
    const full = whole(bytes);
    for (let length = 0; length < full.length; length++) {
      assertThrows(() => decodeClientHello(full.subarray(0, length)), DecodeError);
    }
  });

  test(`the hello of ${client} is the same in several records`, () => {
    const full = whole(bytes);
    for (const size of [full.length - 1, 64, 40]) {
      const split = records(full, size);
      assertEquals(whole(split), full);
      for (let length = 0; length < split.length; length++) {
        assertStrictEquals(gatherHello(split.subarray(0, length)).is, "incomplete");
      }
    }
  });
}

test("bytes after the hello do not belong to it", () => {
  assertEquals(whole(concat([OPENSSL, Uint8Array.of(20, 3, 3, 0, 1, 1)])), whole(OPENSSL));
  const extra = concat([message(), Uint8Array.of(1, 2, 3)]);
  assertEquals(whole(records(extra)), message());
});

const OTHER: [string, Uint8Array][] = [
  ["plain text", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
  ["a PROXY line", new TextEncoder().encode("PROXY TCP4 ")],
  ["an SSL 2 hello", Uint8Array.of(0x80, 0x2e, 1, 3, 1)],
  ["an alert", Uint8Array.of(21, 3, 1, 0, 2, 2, 0)],
  ["another major version", Uint8Array.of(22, 4)],
  ["an empty record", Uint8Array.of(22, 3, 1, 0, 0)],
  ["a record beyond 2^14 bytes", Uint8Array.of(22, 3, 1, 0x40, 1)],
  ["another handshake message", Uint8Array.of(22, 3, 1, 0, 4, 2, 0, 0, 0)],
  ["a hello beyond 2^14 bytes", Uint8Array.of(22, 3, 1, 0, 4, 1, 0, 0x40, 0)],
  [
    "an alert between the records of a hello",
    concat([
      records(whole(OPENSSL), 100).subarray(0, 105),
      Uint8Array.of(21),
    ]),
  ],
  ["a hello in 17 records", records(whole(OPENSSL), Math.ceil(whole(OPENSSL).length / 17))],
  ["one byte per record", records(whole(OPENSSL), 1)],
];

for (const [what, bytes] of OTHER) {
  test(`${what} is left to the TLS library`, () => {
    assertEquals(gatherHello(bytes), { is: "other" });
  });
}

const name = (text: string) => serverName(hostName(text));

const ACCEPTED: [string, Uint8Array, ClientHello][] = [
  ["no extensions", message(), { alpn: [], versions: [0x0303] }],
  ["an empty list of extensions", message([]), { alpn: [], versions: [0x0303] }],
  [
    "unknown extensions",
    message([extension(0xfafa, u16(7)), name("a"), extension(0xffff, u16(0))]),
    {
      serverName: "a",
      alpn: [],
      versions: [0x0303],
    },
  ],
  [
    "GREASE among protocols and versions",
    message([
      protocols("\x0a\x0a", "h2"),
      extension(43, vec8(concat([u16(0x8a8a), u16(0x0304)]))),
    ]),
    { alpn: ["\x0a\x0a", "h2"], versions: [0x8a8a, 0x0304] },
  ],
  [
    "a name of another type before the host name",
    message([
      serverName(hostName("x", 7), hostName("b.example")),
    ]),
    { serverName: "b.example", alpn: [], versions: [0x0303] },
  ],
  ["a name of another type alone", message([serverName(hostName("x", 7))]), {
    alpn: [],
    versions: [0x0303],
  }],
  ["a name of hostile bytes", message([name("\0\n\xff%")]), {
    serverName: "\0\n\xff%",
    alpn: [],
    versions: [0x0303],
  }],
  ["a name of 255 bytes", message([name("x".repeat(255))]), {
    serverName: "x".repeat(255),
    alpn: [],
    versions: [0x0303],
  }],
];

for (const [what, bytes, expected] of ACCEPTED) {
  test(`${what}: read`, () => assertEquals(decodeClientHello(bytes), expected));
}

const REFUSED: [string, Uint8Array, RegExp][] = [
  ["another message", Uint8Array.of(2, 0, 0, 0), /message type: not 1 at byte 0$/],
  ["a length that is too small", concat([message(), u16(0)]), /message length: says/],
  ["the same extension twice", message([name("a"), name("b")]), /extension: type 0 twice at byte/],
  [
    "an unknown extension twice",
    message([extension(9, u16(0)), extension(9, u16(0))]),
    /type 9 twice/,
  ],
  ["two host names", message([serverName(hostName("a"), hostName("b"))]), /second host name at/],
  ["an empty host name", message([name("")]), /server name: not 1 to 255 bytes at byte/],
  ["a host name of 256 bytes", message([name("x".repeat(256))]), /server name: not 1 to 255/],
  ["an empty server name list", message([extension(0, u16(0))]), /server name list: empty/],
  [
    "an empty server_name extension",
    message([extension(0, new Uint8Array(0))]),
    /length of server name list: needs 2/,
  ],
  [
    "bytes after the server name list",
    message([
      extension(0, concat([vec16(hostName("a")), u16(0)])),
    ]),
    /extension: 2 bytes left of type 0/,
  ],
  ["an empty protocol list", message([extension(16, u16(0))]), /protocol list: empty/],
  ["an empty protocol name", message([protocols("h2", "")]), /protocol name: empty/],
  ["no versions", message([extension(43, Uint8Array.of(0))]), /supported versions: odd or empty/],
  ["half a version", message([extension(43, Uint8Array.of(1, 3))]), /supported versions: odd or/],
  ["bytes after the extensions", withBody((body) => concat([body, u16(0)])), /end: 2 bytes more/],
  [
    "a long session id",
    withBody((body) => {
      return concat([body.subarray(0, 34), vec8(new Uint8Array(33)), body.subarray(35)]);
    }),
    /session id: longer than 32/,
  ],
  [
    "no cipher suites",
    withBody((body) => {
      return concat([body.subarray(0, 35), u16(0), body.subarray(39)]);
    }),
    /cipher suites: odd or empty/,
  ],
  [
    "no compression method",
    withBody((body) => {
      return concat([body.subarray(0, 39), Uint8Array.of(0), body.subarray(41)]);
    }),
    /compression methods: none/,
  ],
];

/** A message with a changed body (extensions included). */
function withBody(change: (body: Uint8Array) => Uint8Array): Uint8Array {
  const body = change(message([]).subarray(4));
  return concat([Uint8Array.of(1, 0), vec16(body)]);
}

for (const [what, bytes, expected] of REFUSED) {
  test(`${what}: refused`, () => {
    assertThrows(() => decodeClientHello(bytes), DecodeError, expected);
  });
}
