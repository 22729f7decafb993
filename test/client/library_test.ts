/** `connect` of the library, against `serve`, in the runtime that runs this file. */

import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { createServer } from "node:net";
import process from "node:process";
import { test } from "node:test";
import {
  connect,
  type ConnectOptions,
  FatalError,
  type Handler,
  serve,
  type ServeOptions,
  type TlsConnection,
  type TlsServer,
  UntrustedServer,
  UsageError,
} from "../../mod.ts";
import { der, file, pki, text, within } from "../runtime/tools.ts";

const PATIENT = { timeout: 60_000 };

/** Serves with the certificate of the test's authority, which is for localhost. */
async function serving(
  handler: Handler,
  body: (options: ConnectOptions, server: TlsServer) => Promise<void>,
  more: ServeOptions = {},
): Promise<void> {
  const { PATH } = process.env;
  const server = await serve({
    hostname: "127.0.0.1",
    cert: file("server.pem"),
    key: file("server.key"),
    env: { PATH },
    log: () => {},
    ...more,
  }, handler);
  const { port } = server;
  try {
    await body({ hostname: "localhost", port, family: 4, ca: file("ca.pem"), env: {} }, server);
  } finally {
    await server.shutdown();
  }
}

const echo: Handler = (conn) => conn.readable.pipeTo(conn.writable);

async function allOf({ readable }: TlsConnection): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readable) chunks.push(chunk);
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}

async function send({ writable }: TlsConnection, bytes: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  await writer.write(bytes);
  await writer.close();
}

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

test("a connection sends, half-closes, reads to the end, and knows its peer", PATIENT, async () => {
  const env = { ALPN: "echo" };
  await serving(echo, async (options) => {
    const conn = await connect({ ...options, alpn: ["other", "echo"] });
    assertEquals(conn.peerCertificates.map(text), [text(der(file("server.pem")))]);
    assertEquals([conn.protocol, conn.alpn], ["TLSv1.3", "echo"]);
    assertMatch(conn.cipher, /^TLS_/);
    assertEquals(conn.remote, { ip: "127.0.0.1", port: options.port });
    await send(conn, bytes("question"));
    assertEquals(text(await within(allOf(conn), "answer")), "question");
    assertStrictEquals(await within(conn.closed, "close"), undefined);
    assertStrictEquals(conn.signal.aborted, false);
  }, { env });
});

test("much data passes in both directions, with a slow reader", PATIENT, async () => {
  await serving(echo, async (options) => {
    await using conn = await connect(options);
    const size = 20_000_000;
    const sent = send(conn, new Uint8Array(size).fill(7));
    // Buffers of both sides fill while nothing is read, which no event tells.
    await new Promise((done) => setTimeout(done, 200));
    const [answer] = await Promise.all([within(allOf(conn), "answer", 50_000), sent]);
    assertStrictEquals(answer.length, size);
    assert(answer.every((byte) => byte === 7));
  });
});

test("a server that is not verified is refused, and gets no data", PATIENT, async () => {
  let heard = 0;
  const count: Handler = async (conn) => {
    for await (const chunk of conn.readable) heard += chunk.length;
  };
  await serving(count, async (options) => {
    const rows: [Partial<ConnectOptions>, UntrustedServer["problem"] | undefined][] = [
      [{ ca: file("unrelated.pem") }, "chain"],
      [{ hostname: "127.0.0.1" }, "host"],
      [{ hostname: "127.0.0.1", verifyName: false }, undefined],
      [{ ca: file("unrelated.pem"), verifyChain: false }, undefined],
    ];
    for (const [more, problem] of rows) {
      const attempt = connect({ ...options, ...more });
      if (problem === undefined) {
        await (await attempt).close();
        continue;
      }
      const error = await assertRejects(() => attempt, UntrustedServer);
      assertStrictEquals(error.problem, problem);
    }
  });
  assertStrictEquals(heard, 0);
});

test("a client certificate is shown, also with an encrypted key", PATIENT, async () => {
  let seen = "";
  const handler: Handler = async (conn) => {
    seen = conn.environment.SSL_CLIENT_S_DN_CN ?? "none";
    await conn.writable.close();
  };
  const env = { CAFILE: `${pki()}/ca.pem` };
  await serving(handler, async (options) => {
    const own = { cert: file("client.chain"), key: file("client.key") };
    await using conn = await connect({ ...options, ...own });
    await within(allOf(conn), "end");
    assertStrictEquals(seen, "client");
  }, { env, clientCertificate: "valid" });
});

test("a lost connection aborts the signal, fails reads, and says why", PATIENT, async () => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const handler: Handler = async (conn) => {
    begin();
    await new Promise((done) => conn.signal.addEventListener("abort", done));
  };
  await serving(handler, async (options, server) => {
    // Deno's server ends with FIN alone, Bun's with a reset.
    const conn = await connect({ ...options, requireCloseNotify: true });
    const reading = allOf(conn);
    reading.catch(() => {});
    await begun;
    void server.shutdown();
    await assertRejects(() => within(reading, "end of reading"));
    assert(conn.signal.aborted);
    assert(await within(conn.closed, "close") instanceof Error);
  });
});

test("the idle limit and the option signal end a connection", PATIENT, async () => {
  const idle: Handler = (conn) =>
    new Promise((done) => conn.signal.addEventListener("abort", () => done()));
  await serving(idle, async (options) => {
    const limited = await connect({ ...options, idleTimeout: 1 });
    assertMatch(`${await within(limited.closed, "close")}`, /no traffic for 1 s/);
    assert(limited.signal.aborted);
    const controller = new AbortController();
    const conn = await connect({ ...options, signal: controller.signal });
    const why = new Error("enough");
    controller.abort(why);
    assertStrictEquals(await within(conn.closed, "close"), why);
    await assertRejects(() => allOf(conn));
    const late = connect({ ...options, signal: AbortSignal.abort(why) });
    assertStrictEquals(await assertRejects(() => late), why);
  });
});

test("a handshake that does not begin times out", PATIENT, async () => {
  const mute = createServer((socket) => void socket.on("error", () => {}));
  await new Promise<void>((done) => mute.listen(0, "127.0.0.1", done));
  const { port } = mute.address() as { port: number };
  const options = { hostname: "127.0.0.1", port, connectTimeout: 1, verifyChain: false };
  await assertRejects(() => connect(options), FatalError, "timed out after 1 s");
  mute.close();
});

test("wrong options are named", PATIENT, async () => {
  const good = { hostname: "localhost", port: 1 };
  const rows: [unknown, string][] = [
    [undefined, "connect needs options"],
    [{ port: 1 }, "option hostname is missing"],
    [{ hostname: "localhost" }, "option port is missing"],
    [{ ...good, port: 0 }, "option port needs a whole number from 1 to 65535, not 0"],
    [{ ...good, prot: 1 }, "unknown option prot"],
    [{ ...good, family: 5 }, "option family needs 4 or 6, not 5"],
    [{ ...good, alpn: "h2" }, "option alpn needs an array of protocol names"],
    [{ ...good, key: "x" }, "option key needs cert, too"],
    [{ ...good, cert: "x" }, "unable to use certificate (option cert)"],
    [{ ...good, minVersion: "TLSv1.3", maxVersion: "TLSv1.2" }, "is above maxVersion"],
    [{ ...good, localAddress: "host" }, "option localAddress needs an address"],
    [{ ...good, ca: 5 }, "option ca needs a text"],
  ];
  for (const [options, message] of rows) {
    await assertRejects(() => connect(options as ConnectOptions), UsageError, message);
  }
});
