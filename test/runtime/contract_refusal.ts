/** The contract of handshakes that fail: one rejection, the alert sent, nothing left behind. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
  fail,
} from "@std/assert";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { reasonWords } from "../../src/log/reasons.ts";
import { reasonOf } from "../../src/reason.ts";
import { HandshakeError, type Runtime, type TlsContext } from "../../src/runtime/runtime.ts";
import {
  accepting,
  bytes,
  dial,
  file,
  type Kit,
  noProc,
  pki,
  readSome,
  received,
  run,
  settings,
  tlsClient,
  tlsThrough,
  turns,
  until,
  within,
} from "./tools.ts";

/** Bun's default limit of a test is 5 s. */
const PATIENT = { timeout: 60_000 };
const NONE = new Uint8Array(0);

/** The number of open descriptors of this process. */
const openFiles = (): number => readdirSync("/proc/self/fd").length;

/** The error with which a handshake is rejected. */
async function refusal(handshake: Promise<unknown>): Promise<HandshakeError> {
  const outcome = await within(handshake.catch((error: unknown) => error), "end of the handshake");
  assert(outcome instanceof HandshakeError, `not a HandshakeError: ${outcome}`);
  assertMatch(reasonWords(outcome.reason), /^[^\n]+$/);
  return outcome;
}

export function refusalContract(kit: Kit): void {
  const claim = (
    name: string,
    body: (kit: Kit, context: TlsContext) => Promise<void>,
    more: () => Parameters<typeof settings>[0] = () => ({}),
    skip = kit.skip,
  ) =>
    test(
      `${kit.way}: handshake: ${name}`,
      { ...PATIENT, skip },
      () => body(kit, kit.runtime.tlsContext(settings(more()))),
    );

  /** Asserts that openssl s_client with `args` fails and prints the alert that it got. */
  async function alerts(kit: Kit, context: TlsContext, args: string[], alert: RegExp) {
    const server = accepting(kit);
    const target = ["-connect", `127.0.0.1:${server.port}`];
    const client = run("openssl", ["s_client", ...target, ...args], "", { cwd: pki() });
    const socket = await server.next();
    await refusal(socket.startTls(context, NONE));
    const { stderr } = await client;
    assertMatch(stderr, alert);
    server.close();
  }

  claim(
    "an old client gets an alert",
    (kit, context) =>
      alerts(kit, context, ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], /alert number (70|40)\b/),
  );

  claim(
    "a client without a common cipher gets an alert",
    (kit, context) =>
      alerts(
        kit,
        context,
        ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
        /alert number 40\b/,
      ),
  );

  claim(
    "a client without a common ALPN protocol gets an alert",
    (kit, context) => alerts(kit, context, ["-alpn", "h2"], /alert number 120\b/),
    () => ({ alpn: ["smtp"] }),
  );

  claim(
    "garbage is refused, with an alert or nothing, and the connection closed",
    async (kit, context) => {
      const server = accepting(kit);
      for (
        const garbage of ["GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\x00\x05\x01\x00\x00\x00\xff"]
      ) {
        const client = await dial(server.port);
        const answer = received(client);
        const socket = await server.next();
        const handshake = socket.startTls(context, NONE);
        client.write(garbage, "latin1");
        await refusal(handshake);
        const alert = await answer;
        assert(alert.length === 0 || alert[0] === 21, "neither an alert nor nothing");
        client.destroy();
      }
      server.close();
    },
  );

  claim("the end after garbage is not reported as the reason", async (kit, context) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    client.resume();
    const socket = await server.next();
    await new Promise<void>((sent) => client.end("GET / HTTP/1.0\r\n\r\n", sent));
    const first = await readSome(socket, 18, "hold");
    await turns();
    const error = await assertRejects(() => within(socket.startTls(context, first), "refusal"));
    assertStrictEquals(reasonOf(error).kind, "tls");
    client.destroy();
    server.close();
  });

  for (const version of ["-tls1_2", "-tls1_3"]) {
    claim(
      `a client without the required certificate gets an alert (${version})`,
      (kit, context) => alerts(kit, context, [version, "-ign_eof"], /alert number \d/),
      () => ({ requestCertificate: { ca: [file("ca.pem")], required: true } }),
    );
  }

  for (const version of ["-tls1_2", "-tls1_3"]) {
    claim(`a client that distrusts us is the reason (${version})`, async (kit, context) => {
      const server = accepting(kit);
      const target = ["-connect", `127.0.0.1:${server.port}`];
      const trust = ["-verify_return_error", "-CAfile", "unrelated.pem"];
      const args = ["s_client", version, ...target, ...trust];
      const client = run("openssl", args, "", { cwd: pki() });
      const socket = await server.next();
      const { reason } = await refusal(socket.startTls(context, NONE));
      assertEquals(reason, { kind: "alert", alert: "unknown ca", certificate: true });
      await client;
      server.close();
    });
  }

  claim(
    "cut at any byte of the client's first flight, it ends",
    async (kit, context) => {
      const server = accepting(kit);
      const start = await tlsThrough(server.port, true);
      const hello = await start.hello;
      (await server.next()).destroy();
      start.client.destroy();
      const before = openFiles();
      for (let cut = 0; cut < hello.length; cut++) {
        const client = await dial(server.port);
        client.resume();
        client.end(hello.subarray(0, cut));
        const socket = await server.next();
        await refusal(socket.startTls(context, NONE));
        client.destroy();
      }
      await until(() => openFiles() <= before, "all descriptors closed");
      server.close();
    },
    undefined,
    kit.skip || noProc,
  );

  claim("a client that vanishes after the server's flight ends it", async (kit, context) => {
    const server = accepting(kit);
    const { client, toServer, hello } = await tlsThrough(server.port, true);
    const socket = await server.next();
    const handshake = socket.startTls(context, NONE);
    toServer.write(await hello);
    toServer.once("data", () => toServer.destroy());
    await refusal(handshake);
    client.destroy();
    server.close();
  });

  claim(
    "destroy() in the middle ends it once, leaving nothing",
    async (kit, context) => {
      const server = accepting(kit);
      const before = openFiles();
      for (const sent of ["", "\x16\x03\x01"]) {
        const client = await dial(server.port);
        const ended = received(client);
        const socket = await server.next();
        client.write(sent, "latin1");
        if (sent !== "") await readSome(socket, sent.length);
        const handshake = socket.startTls(context, bytes(sent));
        socket.destroy();
        socket.destroy();
        await refusal(handshake);
        await ended;
        client.destroy();
      }
      await until(() => openFiles() <= before, "all descriptors closed");
      server.close();
    },
    undefined,
    kit.skip || noProc,
  );

  claim(
    "destroy() after it leaves nothing either",
    async (kit, context) => {
      const server = accepting(kit);
      const before = openFiles();
      for (let count = 0; count < 20; count++) {
        const client = tlsClient(server.port);
        const socket = await server.next();
        const stream = await within(socket.startTls(context, NONE), "handshake");
        stream.take({ close: () => fail("close after destroy()") });
        stream.write(bytes("x"));
        stream.destroy();
        stream.destroy();
        socket.destroy();
        client.destroy();
      }
      await until(() => openFiles() <= before, "all descriptors closed");
      server.close();
    },
    undefined,
    kit.skip || noProc,
  );

  claim("a handshake on a closed connection is refused at once", async (kit, context) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    const socket = await server.next();
    socket.destroy();
    await refusal(socket.startTls(context, NONE));
    client.destroy();
    server.close();
  });
}

export function contextContract(runtime: Runtime): void {
  test("a context is refused when the key belongs to another certificate", () => {
    const keyPairs = [{ chain: file("server.pem"), key: file("other.key") }];
    assertThrows(() => runtime.tlsContext(settings({ keyPairs })), Error);
  });

  test("a context is refused for what is not a certificate or key", () => {
    for (
      const pair of [{ chain: "", key: file("server.key") }, {
        chain: file("server.pem"),
        key: "x",
      }]
    ) {
      assertThrows(() => runtime.tlsContext(settings({ keyPairs: [pair] })), Error);
    }
  });
}
