/** The plaintext start of a UCSPI-TLS connection, with a fake socket. */

import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat, fromLatin1, latin1 } from "../../src/codec/bytes.ts";
import { encodeProxyV1 } from "../../src/codec/proxy/v1.ts";
import { encodeProxyV2 } from "../../src/codec/proxy/v2.ts";
import { type Connection, describe } from "../../src/connection.ts";
import { reasonWords } from "../../src/log/reasons.ts";
import { reasonOf, sentNothing } from "../../src/reason.ts";
import { firstBytes } from "../../src/accept/first_bytes.ts";
import { readHello } from "../../src/accept/hello.ts";
import {
  isHealthCheck,
  PlainStream,
  readProxyHeader,
  unexpectedHeader,
} from "../../src/accept/proxy.ts";
import { parseNetwork } from "../../src/codec/ip.ts";
import { FOUR } from "../codec/proxy/samples.ts";
import { FakeSocket, turn } from "../fake_streams.ts";

const NONE = new Uint8Array(0);

/** A plain stream, the bytes that it delivers, and its refusals. */
function plain(begin: Uint8Array = NONE) {
  const socket = new FakeSocket({ ip: "10.0.0.1", port: 1 });
  const seen = { text: "", refused: "", ended: false, closed: false };
  const stream = new PlainStream(socket, begin, ({ reason }) => seen.refused = reason.kind);
  stream.take({
    data: (chunk) => seen.text += latin1(chunk),
    end: () => seen.ended = true,
    close: () => seen.closed = true,
  });
  return { socket, stream, seen };
}

test("data after the header is delivered first, and not inside resume()", async () => {
  const { socket, stream, seen } = plain(fromLatin1("EHLO "));
  stream.resume();
  assertStrictEquals(seen.text, "");
  assert(!socket.flowing);
  await turn();
  assertStrictEquals(seen.text, "EHLO ");
  assert(socket.flowing);
  socket.put(fromLatin1("x\n"));
  assertStrictEquals(seen.text, "EHLO x\n");
});

test("nothing is delivered while the stream is paused", async () => {
  const { socket, stream, seen } = plain(fromLatin1("EHLO x\n"));
  stream.resume();
  stream.pause();
  await turn();
  assertStrictEquals(seen.text, "");
  assert(!socket.flowing);
  stream.resume();
  await turn();
  assertStrictEquals(seen.text, "EHLO x\n");
});

for (const header of [encodeProxyV1(FOUR), encodeProxyV2(FOUR)]) {
  test(`a header of ${header.length} bytes is refused at any cut, and nothing of it delivered`, () => {
    for (let cut = 0; cut <= header.length; cut++) {
      const { socket, stream, seen } = plain();
      stream.resume();
      socket.put(header.subarray(0, cut));
      if (!socket.destroyed) socket.put(header.subarray(cut));
      assertStrictEquals(seen.text, "");
      assert(socket.destroyed && seen.closed && seen.refused !== "", `cut at ${cut}`);
    }
  });

  test(`${header.length} bytes of header behind the proxy's own are refused too`, async () => {
    const { socket, stream, seen } = plain(header.subarray(0, 3));
    stream.resume();
    await turn();
    socket.put(header.subarray(3));
    assert(socket.destroyed);
    assertStrictEquals(seen.text, "");
  });
}

test("data that only begins like a header arrives whole and in order", () => {
  for (const text of ["PROXIES\n", "P", "\r\n\r\nQUIT\n", "\r\n\r\n\0\r\nQUIT\r", "PROXY"]) {
    const { socket, stream, seen } = plain();
    stream.resume();
    for (const byte of fromLatin1(text)) socket.put(Uint8Array.of(byte));
    socket.put(null);
    assertStrictEquals(seen.text, text);
    assert(seen.ended && !socket.destroyed);
  }
});

test("a header later in the stream is data for the program", () => {
  const { socket, stream, seen } = plain();
  stream.resume();
  socket.put(fromLatin1("x"));
  socket.put(encodeProxyV1(FOUR));
  assertStrictEquals(seen.text, `x${latin1(encodeProxyV1(FOUR))}`);
});

function connection(ip: string): { conn: Connection; socket: FakeSocket } {
  const socket = new FakeSocket({ ip, port: 7 });
  const conn = describe(socket, { localName: "mx", interface: "eth0" });
  return { conn, socket };
}

const OPTIONS = { proxyFrom: [parseNetwork("10.0.0.0/8")], handshakeTimeout: 26 };

test("the client of the header replaces the proxy, and the bytes after it are kept", async () => {
  const { conn, socket } = connection("10.1.2.3");
  const met = readProxyHeader(conn, OPTIONS);
  for (const byte of concat([encodeProxyV2(FOUR), fromLatin1("re")])) {
    if (socket.flowing) socket.put(Uint8Array.of(byte));
  }
  assertEquals(await met, NONE);
  assert(!socket.flowing);
  assertEquals(conn.remote, { ip: "192.0.2.7", port: 50312 });
  assertEquals(conn.local, { ip: "198.51.100.1", port: 465, host: "mx" });
  assertEquals(conn.socket.remote, { ip: "10.1.2.3", port: 7 });
  assertEquals([conn.proxy?.ip, conn.proxy?.port], ["10.1.2.3", 7]);
});

test("bytes in the same chunk as the header are passed on", async () => {
  const { conn, socket } = connection("10.1.2.3");
  const met = readProxyHeader(conn, OPTIONS);
  socket.put(concat([encodeProxyV1(FOUR), fromLatin1("rest")]));
  assertStrictEquals(latin1(await met ?? NONE), "rest");
});

test("nothing is read from an address that is not listed, nor without a list", async () => {
  for (const options of [OPTIONS, { proxyFrom: undefined, handshakeTimeout: 26 }]) {
    const { conn, socket } = connection("11.0.0.1");
    assertStrictEquals(await readProxyHeader(conn, options), undefined);
    assert(!socket.flowing);
    assertStrictEquals(conn.proxy, undefined);
    assertStrictEquals(conn.remote.ip, "11.0.0.1");
  }
});

test("a proxy that closes, resets or is given up causes an error and leaves no timer", async () => {
  const endings: [(conn: Connection, socket: FakeSocket) => void, RegExp][] = [
    [(_, socket) => socket.put(null), /PROXY header: connection closed by the peer after 5 bytes$/],
    [(_, socket) => socket.lose(new Error("ECONNRESET")), /connection reset by the peer/],
    [(conn) => conn.giveUp({ kind: "shut down" }), /header: the server is shutting/],
    [(_, socket) => socket.put(fromLatin1("!")), /PROXY header: proxy: signature/],
  ];
  for (const [end, expected] of endings) {
    const { conn, socket } = connection("10.0.0.1");
    const met = readProxyHeader(conn, OPTIONS);
    socket.put(fromLatin1("PROXY"));
    end(conn, socket);
    const error = await assertRejects(() => met);
    assertMatch(reasonWords(reasonOf(error)), expected);
  }
});

test("a client that leaves without sending is distinguished from one that the server gives up", async () => {
  const silent: [(conn: Connection, socket: FakeSocket) => void, boolean][] = [
    [(_, socket) => socket.put(null), true],
    [(_, socket) => socket.lose(new Error("ECONNRESET")), true],
    [(conn) => conn.giveUp({ kind: "timed out", seconds: 26 }), false],
  ];
  for (const [end, expected] of silent) {
    for (const header of [true, false]) {
      const { conn, socket } = connection("10.0.0.1");
      const reading = header ? readProxyHeader(conn, OPTIONS) : readHello(conn);
      end(conn, socket);
      const error = await assertRejects(() => reading);
      assertStrictEquals(sentNothing(reasonOf(error)), expected);
    }
  }
  const { conn, socket } = connection("10.0.0.1");
  socket.lose(); // while its name is looked up
  const error = await assertRejects(() => readHello(conn));
  assert(sentNothing(reasonOf(error)));
});

test("a client that leaves after its first bytes is still noticed", async () => {
  const { conn, socket } = connection("10.0.0.1");
  const first = firstBytes(conn, (bytes) => bytes.length > 1);
  socket.put(fromLatin1("ab"));
  await first;
  socket.lose();
  assert(conn.givenUp !== undefined);
});

test("a LOCAL header without data is a health check", () => {
  const silent = { kind: "client gone", how: "closed", sent: 0 } as const;
  const rows = [[true, silent, true], [false, silent, false], [undefined, silent, false], [true, {
    ...silent,
    sent: 1,
  }, false]] as const;
  for (const [own, reason, expected] of rows) {
    const { conn } = connection("10.0.0.1");
    if (own !== undefined) conn.proxy = { ip: "10.0.0.1", port: 1, variables: new Map(), own };
    assertStrictEquals(isHealthCheck(conn, reason), expected);
  }
});

test("a header in place of a ClientHello is refused, and the beginning of one is not", () => {
  const header = fromLatin1("PROXY TCP4 ");
  assertEquals(unexpectedHeader(header), { kind: "unexpected proxy header" });
  assertStrictEquals(unexpectedHeader(header.subarray(0, 3)), undefined);
  assertStrictEquals(unexpectedHeader(Uint8Array.of(22, 3, 1)), undefined);
});
