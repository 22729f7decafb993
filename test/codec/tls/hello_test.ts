import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError } from "../../../src/codec/bytes.ts";
import { decodeClientHello } from "../../../src/codec/client_hello.ts";
import {
  firstProtocol,
  offeredGroups,
  offeredPointFormats,
  offeredProtocols,
  offeredSignatures,
  offeredVersions,
  readClientHello,
  readServerHello,
  selectedVersion,
  withoutGrease,
} from "../../../src/codec/tls/hello.ts";
import {
  bodyOf,
  clientHello,
  clientHelloBody,
  messageOf,
  RECORDED,
  RETRY_RANDOM,
  serverHello,
  serverHelloBody,
} from "./samples.ts";

test("hellos of these clients are recorded", () => {
  assertEquals([...RECORDED.keys()], [
    "bun",
    "chromium",
    "curl",
    "deno",
    "gnutls",
    "go",
    "java",
    "openssl",
    "openssl_rare",
    "openssl_resumption",
    "openssl_tls12",
    "python",
  ]);
});

for (const [client, record] of RECORDED) {
  test(`the hello of ${client}, read and written again, is the same`, () => {
    assertEquals(clientHelloBody(readClientHello(bodyOf(record))), bodyOf(record));
  });

  test(`the hello of ${client} says what the reader for certificates finds in it`, () => {
    const hello = readClientHello(bodyOf(record));
    const { versions, alpn } = decodeClientHello(messageOf(record));
    assertEquals(offeredVersions(hello), versions);
    const first = firstProtocol(hello);
    assertEquals(first && String.fromCharCode(...first), alpn[0]);
  });

  test(`the hello of ${client}, cut at any length, is refused`, () => {
    const body = bodyOf(record);
    const { extensions } = readClientHello(body);
    const start = body.length - 2 - extensions.reduce((sum, one) => sum + 4 + one.body.length, 0);
    for (let length = 0; length < body.length; length++) {
      if (length === start) continue; // a hello without extensions
      assertThrows(() => readClientHello(body.subarray(0, length)), DecodeError);
    }
    assertThrows(() => readClientHello(concat([body, Uint8Array.of(0)])), DecodeError);
  });
}

test("the versions, signatures, protocols and groups that a client offers are read", () => {
  const { extensions } = readClientHello(bodyOf(RECORDED.get("chromium") as Uint8Array));
  const hello = clientHello({ extensions });
  assertEquals(withoutGrease(offeredVersions(hello)), [0x0304, 0x0303]);
  assertEquals(offeredVersions(hello).length, 3);
  assertEquals(withoutGrease(offeredSignatures(hello)).slice(0, 4), [
    0x0904,
    0x0905,
    0x0906,
    0x0403,
  ]);
  assertEquals(firstProtocol(hello), Uint8Array.of(0x68, 0x32));
  assertEquals(offeredProtocols(hello).map((name) => name.length), [2, 8]);
  assertEquals(withoutGrease(offeredGroups(hello)), [4588, 29, 23, 24]);
  assertEquals(offeredPointFormats(hello), [0]);
  const bare = clientHello({ legacyVersion: 0x0301 });
  assertEquals(offeredVersions(bare), [0x0301]);
  assertEquals(offeredSignatures(bare), []);
  assertStrictEquals(firstProtocol(bare), undefined);
  for (const read of [offeredProtocols, offeredGroups, offeredPointFormats]) {
    assertEquals(read(bare), []);
  }
});

const MALFORMED: [string, number, number[], (hello: ReturnType<typeof clientHello>) => unknown][] =
  [
    ["versions of an odd length", 43, [3, 3, 4, 3], offeredVersions],
    ["versions with bytes behind them", 43, [2, 3, 4, 0], offeredVersions],
    ["signatures that end early", 13, [0, 4, 4, 3], offeredSignatures],
    ["a protocol that ends early", 16, [0, 2, 3, 0x68], firstProtocol],
    ["a second protocol that ends early", 16, [0, 4, 1, 0x68, 2, 0x68], offeredProtocols],
    ["groups of an odd length", 10, [0, 3, 0, 29, 0], offeredGroups],
    ["point formats with bytes behind them", 11, [1, 0, 0], offeredPointFormats],
  ];
for (const [what, type, bytes, read] of MALFORMED) {
  test(`${what}: refused`, () => {
    const extensions = [{ type, body: Uint8Array.from(bytes) }];
    assertThrows(() => read(clientHello({ extensions })), DecodeError);
  });
}

test("a ServerHello shows its version, and whether it is a HelloRetryRequest", () => {
  const chosen = [{ type: 43, body: Uint8Array.of(3, 4) }];
  const rows: [ReturnType<typeof serverHello>, number, boolean][] = [
    [serverHello({}), 0x0303, false],
    [serverHello({ extensions: chosen }), 0x0304, false],
    [serverHello({ extensions: chosen, random: RETRY_RANDOM, retry: true }), 0x0304, true],
  ];
  for (const [hello, version, retry] of rows) {
    const body = serverHelloBody(hello);
    const read = readServerHello(body);
    assertEquals(read, hello);
    assertStrictEquals(selectedVersion(read), version);
    assertStrictEquals(read.retry, retry);
    for (let length = 0; length < body.length; length++) {
      if (length === 38) continue; // a hello without extensions
      assertThrows(() => readServerHello(body.subarray(0, length)), DecodeError);
    }
  }
});

test("a session id longer than 32 bytes is refused", () => {
  const hello = clientHello({ sessionId: new Uint8Array(33) });
  assertThrows(
    () => readClientHello(clientHelloBody(hello)),
    Error,
    /session id: longer than 32 bytes/,
  );
});
