/** Input that is not TLS, or that breaks off: one log line each, nothing started, nothing leaked.
 *  E2E_CUT_STEP: the step in bytes between the points at which a handshake is cut (default 7; use 1 for
 *  a run by hand). */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { createHash } from "node:crypto";
import process from "node:process";
import { Raw, refused, talk } from "./clients.ts";
import { unread } from "../tcp_table.ts";
import { claim, helper, type Server, settled, type Trial } from "./harness.ts";

const STEP = process.env["E2E_CUT_STEP"] ?? "7";
const FAILED = /^sslserver: error: unable to accept TLS from: 127\.0\.0\.1 for pid: [0-9]+ \S.*$/;
/** The address may be unknown: a client that resets at once may be gone before the server asks for it. */
const SILENT =
  /^sslserver: info: unable to accept TLS from: (127\.0\.0\.1|unknown) for pid: [0-9]+ connection (closed|reset) by the peer$/;

/** Pseudo-random bytes, the same in each run. */
function noise(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let block = createHash("sha256").update("noise").digest();
  for (let at = 0; at < size; at += block.length) {
    bytes.set(block.subarray(0, size - at), at);
    block = createHash("sha256").update(block).digest();
  }
  bytes[0] = 0x91;
  return bytes;
}

/** A ClientHello of the version `0x0300 + minor`, in one record. */
function hello(minor: number): Uint8Array {
  const suites = [0x00, 0x2f, 0x00, 0x35, 0x00, 0x0a, 0xc0, 0x13];
  const body = [3, minor, ...noise(32), 0, 0, suites.length, ...suites, 1, 0];
  return Uint8Array.of(22, 3, minor, 0, body.length + 4, 1, 0, 0, body.length, ...body);
}

/** A ClientHello whose length field is 100,000 bytes, in records of 16,384. */
function longHello(): Uint8Array {
  const body = new Uint8Array(100_004);
  body.set([1, 1, 0x86, 0xa0, 3, 3]);
  const parts: number[] = [];
  for (let at = 0; at < body.length; at += 16_384) {
    const part = body.subarray(at, at + 16_384);
    parts.push(22, 3, 1, part.length >> 8, part.length & 255, ...part);
  }
  return Uint8Array.from(parts);
}

const SSL2_HELLO = Uint8Array.of(0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, ...noise(37));

const BAD: Record<string, Uint8Array | string> = {
  "one byte of noise": Uint8Array.of(0),
  "noise": noise(5000),
  "plain HTTP": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "plain SMTP": "EHLO localhost\r\n",
  "an SSL 2 hello": SSL2_HELLO,
  "an SSL 3 hello": hello(0),
  "a TLS 1.0 hello": hello(1),
  "a TLS 1.1 hello": hello(2),
  "a record that says 65,535 bytes and has 100,000": Uint8Array.of(
    22,
    3,
    1,
    255,
    255,
    ...noise(100_000),
  ),
  "a hello of 100,000 bytes": longHello(),
  "an empty record": Uint8Array.of(22, 3, 1, 0, 0),
  "an alert": Uint8Array.of(21, 3, 1, 0, 2, 2, 40),
  "application data": Uint8Array.of(23, 3, 3, 0, 5, 1, 2, 3, 4, 5),
};

/** Asserts that nothing was started or left, and that a good client is served. */
async function unharmed(t: Trial, server: Server, before: number): Promise<void> {
  assertEquals(server.lines(/^sslserver: (pid|ok|ended)/), []);
  await server.noChildren();
  await server.descriptorsBackTo(before);
  const { text } = await talk(t, server, "good\n");
  assertStrictEquals(text, "good\n");
}

for (const [what, bytes] of Object.entries(BAD)) {
  claim(`${what}: one line, nothing started, nothing leaked`, async (t) => {
    const server = await t.start({ options: ["-v", "-T", "2"] });
    await refused(server.port, bytes);
    await server.waitFor(FAILED);
    const before = server.descriptors().length;
    await Promise.all([refused(server.port, bytes), refused(server.port, bytes)]);
    await server.waitFor(FAILED, 3);
    await unharmed(t, server, before);
    const lines = server.log().split("\n").filter((line) => /unable|error/.test(line));
    assertStrictEquals(lines.length, 3, lines.join("\n"));
    assertEquals(lines.filter((line) => !FAILED.test(line)), []);
  }, { together: true });
}

claim(
  "a client that closes silently: one line with -v, none without",
  async (t) => {
    const [loud, quiet] = [await t.start({ options: ["-v"] }), await t.start()];
    const before = loud.descriptors().length;
    for (const server of [loud, quiet]) {
      for (let n = 1; n <= 5; n++) {
        const [closing, resetting] = [
          await Raw.connect(server.port),
          await Raw.connect(server.port),
        ];
        closing.socket.end();
        resetting.socket.resetAndDestroy();
        await closing.closedWithin();
      }
      await refused(server.port, "GET / HTTP/1.1\r\n\r\n");
    }
    const lines = await loud.waitFor(SILENT, 10);
    assertStrictEquals(lines.length, 10);
    assertStrictEquals(
      lines.filter((line) => line.endsWith("connection closed by the peer")).length,
      5,
    );
    for (const server of [loud, quiet]) {
      assertStrictEquals((await server.waitFor(/error/)).length, 1);
    }
    assertEquals(quiet.lines(/unable/), quiet.lines(/ http request$/));
    await unharmed(t, loud, before);
  },
);

claim("an end right after a bad ClientHello does not hide the reason", async (t) => {
  const server = await t.start();
  const rows: [string | Uint8Array, string][] = [
    ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "http request"],
    [noise(5000), "unexpected record"],
    [Uint8Array.of(22, 3, 1, 0, 5, 1, 0, 0, 0, 255), "malformed client hello"],
    [Uint8Array.of(21, 3, 1, 0, 2, 2, 40), "alert from the client: handshake failure"],
  ];
  for (const [bytes, why] of rows) {
    const line = new RegExp(`unable to accept TLS from: 127\\.0\\.0\\.1 for pid: [0-9]+ ${why}$`);
    for (let n = 1; n <= 5; n++) {
      const raw = await Raw.connect(server.port);
      raw.socket.end(bytes);
      await raw.closedWithin();
    }
    await server.waitFor(line, 5);
  }
  assertStrictEquals(server.lines(/error/).length, 20);
});

claim("a reset in the middle of a hello: one line, nothing started", async (t) => {
  const server = await t.start({ options: ["-v"] });
  await refused(server.port, "GET / HTTP/1.1\r\n\r\n");
  await server.waitFor(FAILED); // the worker has opened what it needs to accept
  const before = server.descriptors().length;
  const raw = await Raw.connect(server.port);
  raw.send(hello(3).subarray(0, 20));
  // Wait until the server has accepted and read: it never sees a client that resets before that.
  await settled(() => unread(server.port, raw.socket.localPort as number), (n) => n === 0);
  raw.socket.resetAndDestroy();
  const lines = await server.waitFor(/unable to accept TLS/, 2);
  assertStrictEquals(lines.length, 2);
  assertMatch(lines[1] ?? "", FAILED);
  await unharmed(t, server, before);
});

for (const version of ["2", "3"]) {
  claim(
    `a handshake cut after its bytes, TLS 1.${version}: one line each, nothing started`,
    async (t) => {
      const client = await helper("client");
      const server = await t.start({ options: ["-v", "-T", "5"], program: ["true"] });
      await talk(t, server);
      await server.waitFor(/^sslserver: ended by/);
      const before = server.descriptors().length;
      const outcome = await t.run(client, ["cut", String(server.port), version, STEP], {
        limit: 200_000,
      });
      const text = new TextDecoder().decode(outcome.stdout);
      const cuts = Number(/^cuts=([0-9]+)$/m.exec(text)?.[1]);
      assert(cuts > 10, outcome.stderr);
      await server.waitFor(/ unable to accept TLS from: /, cuts); // without input, only with -v
      // Two complete handshakes: `talk` above, and the one with which the client finds the length.
      await server.waitFor(/^sslserver: ended by/, 2);
      assertStrictEquals(server.lines(/^sslserver: ok /).length, 2);
      assertStrictEquals(server.lines(/unable/).length, cuts);
      await server.noChildren();
      await server.descriptorsBackTo(before);
    },
    { timeout: 240_000 },
  );
}
