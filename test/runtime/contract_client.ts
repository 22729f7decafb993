/** The contract of connections that this process makes: dialling, and TLS as the client, against our
 *  own server's side and openssl s_server. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect as connectNet, createServer, type Socket as NetSocket } from "node:net";
import { test } from "node:test";
import type {
  ClientSocket,
  ClientTlsSettings,
  Socket,
  TlsSettings,
  TlsStream,
} from "../../src/runtime/runtime.ts";
import { HandshakeError } from "../../src/runtime/runtime.ts";
import { freePort } from "../free_port.ts";
import {
  accepting,
  bytes,
  der,
  event,
  file,
  type Kit,
  pki,
  readAll,
  readSome,
  residentMb,
  settings,
  text,
  until,
  within,
} from "./tools.ts";

/** Bun's default limit of a test is 5 s. */
const PATIENT = { timeout: 60_000 };

const NONE = new Uint8Array(0);
const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;

const never = (): AbortSignal => new AbortController().signal;

function clientSettings(more: Partial<ClientTlsSettings> = {}): ClientTlsSettings {
  return { minVersion: "TLSv1.2", maxVersion: "TLSv1.3", ...more };
}

interface Ends {
  server: Socket;
  client: ClientSocket;
  /** With a forwarder: its connection to the client. */
  between: NetSocket | undefined;
  end(): void;
}

/** A server's socket and a client's, connected; `forwarded`: through a forwarder. */
async function connected(kit: Kit, forwarded = false): Promise<Ends> {
  const listening = accepting(kit);
  const forwarder = forwarded ? await forwarding(listening.port) : undefined;
  const target = { ip: "127.0.0.1", port: forwarder?.port ?? listening.port };
  const client = await within(kit.runtime.connect(target, never()), "connection");
  const server = await listening.next();
  const between = await forwarder?.client;
  const end = (): void => {
    client.destroy();
    server.destroy();
    between?.destroy();
    listening.close();
  };
  return { server, client, between, end };
}

/** A forwarder for one client. */
async function forwarding(to: number): Promise<{ port: number; client: Promise<NetSocket> }> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const client = new Promise<NetSocket>((done) => {
    server.once("connection", (client) => {
      server.close();
      const further = connectNet({ port: to, host: "127.0.0.1", allowHalfOpen: true });
      for (const one of [client, further]) one.on("error", () => {});
      client.pipe(further, { end: false });
      further.pipe(client, { end: false });
      further.on("end", () => client.end());
      client.on("close", () => further.destroy());
      further.once("connect", () => done(client));
    });
  });
  return { port: (server.address() as { port: number }).port, client };
}

interface Talk {
  client: TlsStream;
  server: TlsStream;
  between: NetSocket | undefined;
}

export function clientContract(kit: Kit): void {
  const { runtime, way, skip } = kit;
  const { libc } = runtime;
  const needsLibc = skip || (libc === undefined && "it needs libc");
  const claim = (name: string, body: () => Promise<void>, why = skip): void => {
    test(`${way}: client: ${name}`, { ...PATIENT, skip: why }, body);
  };

  /** Does a handshake and runs `body`. `name`: the server name. */
  async function talk(
    body: (talk: Talk) => Promise<void> | void,
    { ours = {}, theirs = {}, name, forwarded = false }: {
      forwarded?: boolean;
      ours?: Partial<ClientTlsSettings>;
      theirs?: Partial<TlsSettings>;
      name?: string;
    } = {},
  ): Promise<void> {
    const both = await connected(kit, forwarded);
    const [client, server] = await within(
      Promise.all([
        both.client.startClientTls(runtime.clientContext(clientSettings(ours)), name),
        both.server.startTls(runtime.tlsContext(settings(theirs)), NONE),
      ]),
      "handshake",
    );
    try {
      await body({ client, server, between: both.between });
    } finally {
      client.destroy();
      server.destroy();
      both.end();
    }
  }

  claim("a connection has both addresses, and passes bytes and half-close both ways", async () => {
    const { server, client, end } = await connected(kit);
    assertEquals(client.remote, server.local);
    assertEquals(client.local, server.remote);
    client.write(bytes("question"));
    client.end();
    assertStrictEquals(text(await readAll(server)), "question");
    server.write(bytes("answer"));
    assertStrictEquals(text(await readSome(client, 6)), "answer");
    const closed = event(client, "close"); // both ends have ended; Bun reports the second as close
    client.resume();
    server.end();
    assertStrictEquals(await closed, undefined);
    end();
  });

  claim("a port without a server rejects with ECONNREFUSED", async () => {
    const target = { ip: "127.0.0.1", port: await freePort() };
    const error = await assertRejects(() => runtime.connect(target, never()));
    assertMatch(`${(error as { code?: string }).code}`, /^ECONNREFUSED$/);
  });

  claim(
    "a connection attempt ends when its signal aborts",
    async () => {
      if (!libc) return;
      // Linux drops every SYN for a socket whose queue is full.
      const { fd, port } = libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 0 });
      const target = { ip: "127.0.0.1", port };
      const first = await within(runtime.connect(target, never()), "connection");
      let before = Infinity; // the first attempt also opens what is kept
      for (let i = 0; i < 2; i++) {
        const controller = new AbortController();
        const attempt = runtime.connect(target, controller.signal);
        const why = new Error("given up");
        setTimeout(() => controller.abort(why), 50);
        assertStrictEquals(
          (await assertRejects(() => within(attempt, "end of the attempt"), Error)).message,
          why.message,
        );
        await until(() => libc.openDescriptors() <= before, "closed descriptor");
        before = libc.openDescriptors();
      }
      first.destroy();
      libc.close(fd);
    },
    needsLibc,
  );

  claim("the local address and port can be chosen", async () => {
    const listening = accepting(kit);
    const localPort = await freePort();
    const target = { ip: "127.0.0.1", port: listening.port, localIp: "127.0.0.2", localPort };
    const client = await within(runtime.connect(target, never()), "connection");
    const server = await listening.next();
    assertEquals(client.local, { ip: "127.0.0.2", port: localPort });
    assertEquals(server.remote, { ip: "127.0.0.2", port: localPort });
    client.destroy();
    server.destroy();
    listening.close();
  }, needsLibc);

  claim("without libc, a local end and an interface are refused", async () => {
    for (const part of [{ localIp: "127.0.0.2" }, { localPort: 4000 }, { scopeId: 1 }]) {
      const target = { ip: "::1", port: 1, ...part };
      await assertRejects(() => runtime.connect(target, never()), Error, /without FFI cannot/);
    }
  }, skip || (libc !== undefined && "it has libc"));

  claim("the session has the server's chain, and the server gets the name and ALPN", async () => {
    const chain = file("server.pem") + file("ca.pem");
    await talk(({ client, server }) => {
      const session = client.session();
      sameDers(session.peerCertificates, ["server.pem", "ca.pem"]);
      assertStrictEquals(session.protocol, "TLSv1.3");
      assertMatch(session.cipher, /^TLS_/);
      assertStrictEquals(session.alpn, "two");
      const { serverName, alpn } = server.session();
      assertEquals({ serverName, alpn }, { serverName: "mail.example", alpn: "two" });
    }, {
      ours: { alpn: ["two", "three"] },
      theirs: { alpn: ["one", "two"], keyPairs: [{ chain, key: file("server.key") }] },
      name: "mail.example",
    });
  });

  claim("no server name is sent for an address", async () => {
    await talk(({ server }) => assertStrictEquals(server.session().serverName, undefined));
  });

  for (const version of VERSIONS) {
    claim(`${version}: a version limit is kept, and data flows both ways`, async () => {
      await talk(async ({ client, server }) => {
        assertStrictEquals(client.suite().protocol, version);
        client.write(bytes("question"));
        assertStrictEquals(text(await readSome(server, 8)), "question");
        server.write(bytes("answer"));
        assertStrictEquals(text(await readSome(client, 6)), "answer");
      }, { ours: { minVersion: version, maxVersion: version } });
    });

    claim(`${version}: a client certificate and its chain reach a server that asks`, async () => {
      const keyPair = { chain: file("client.chain"), key: file("client.key") };
      await talk(async ({ client, server }) => {
        client.write(bytes("x"));
        await readSome(server, 1);
        // BoringSSL appends the authority.
        sameDers(server.session().peerCertificates.slice(0, 2), ["client.pem", "middle.pem"]);
      }, {
        ours: { keyPair, minVersion: version, maxVersion: version },
        theirs: { requestCertificate: { ca: [file("ca.pem")], required: false } },
      });
    });

    claim(`${version}: close_notify and a FIN without it are distinguished`, async () => {
      for (const cut of [false, true]) {
        await talk(async ({ client, server, between }) => {
          const ended = event(client, "end");
          client.resume();
          if (cut) between?.end();
          else server.end();
          assertStrictEquals(await ended ?? false, cut);
        }, { ours: { maxVersion: version }, forwarded: true });
      }
    });

    claim(
      `${version}: a server that does not hold the key of its certificate is refused`,
      async () => {
        const server = await openssl(["-cert", "server.pem", "-key", forgedKey()]);
        const target = { ip: "127.0.0.1", port: server.port };
        const socket = await within(runtime.connect(target, never()), "connection");
        const context = runtime.clientContext(clientSettings({ maxVersion: version }));
        await assertRejects(
          () => within(socket.startClientTls(context, "localhost"), "end of the handshake"),
          HandshakeError,
        );
        socket.destroy();
        await server.stop();
      },
    );
  }

  claim("no property of the certificate ends the handshake: the caller verifies", async () => {
    await talk(({ client }) => sameDers(client.session().peerCertificates, ["server.pem"]), {
      name: "mail.example",
    });
  });

  claim(
    "a server that speaks no TLS, one that closes and one that sends an alert reject",
    async () => {
      const rows: [string, (server: Socket) => void, RegExp][] = [
        ["no TLS", (server) => void server.write(bytes("220 mail.example ESMTP\r\n")), /^tls$/],
        ["closes", (server) => server.end(), /^client gone$/],
        ["alert", (server) => void server.write(Uint8Array.of(21, 3, 3, 0, 2, 2, 40)), /^alert$/],
      ];
      for (const [name, act, kind] of rows) {
        const { server, client, end } = await connected(kit);
        const context = runtime.clientContext(clientSettings());
        const handshake = client.startClientTls(context, "localhost");
        await readSome(server, 1);
        act(server);
        const error = await assertRejects(
          () => within(handshake, "end of the handshake"),
          HandshakeError,
        );
        assertMatch(error.reason.kind, kind, `${name}: ${JSON.stringify(error.reason)}`);
        end();
      }
    },
  );

  claim("ciphers can be chosen, or the option is refused", async () => {
    const ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
    const ours = { ciphers, maxVersion: "TLSv1.2" } as const;
    if (!runtime.cipherLists) {
      assertThrows(() => runtime.clientContext(clientSettings(ours)), Error, /rustls/);
      return;
    }
    await talk(({ client }) => assertStrictEquals(client.suite().cipher, ciphers), { ours });
  });

  claim("a paused stream stops the server: memory is bounded, and nothing is lost", async () => {
    const size = 100_000_000;
    await talk(async ({ client, server }) => {
      const chunk = new Uint8Array(65_536);
      let sent = 0;
      const send = (): void => {
        while (sent < size) {
          sent += chunk.length;
          if (!server.write(chunk)) return;
        }
        server.end();
      };
      server.take({ drain: send });
      send();
      let count = (await readSome(client, 1)).length;
      const before = residentMb();
      const stuck = async (): Promise<void> => {
        for (let last = -1; last !== sent; await new Promise((done) => setTimeout(done, 100))) {
          last = sent;
        }
      };
      await within(stuck(), "server that waits");
      assert(sent < size, `${sent} bytes were taken by a paused client`);
      assert(residentMb() - before < 60, `grew by ${residentMb() - before} MB while paused`);
      const ended = within(
        new Promise<void>((done) =>
          client.take({
            data: (part) => void (count += part.length),
            end: () => done(),
          })
        ),
        "end of data",
        60_000,
      );
      client.resume();
      await ended;
      assertStrictEquals(count, sent);
    });
  });
}

function sameDers(ders: readonly Uint8Array[], names: readonly string[]): void {
  const base64 = (bytes: Uint8Array): string => btoa(text(bytes));
  assertEquals(ders.map(base64), names.map((name) => base64(der(file(name)))));
}

/** A private key whose public half is that of server.pem, while its secret half is another one. */
function forgedKey(): string {
  const folder = pki();
  const derOf = (name: string): Uint8Array =>
    execFileSync("openssl", ["ec", "-in", `${folder}/${name}`, "-outform", "DER"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
  // RFC 5915: the secret is an octet string of 32 bytes from offset 7 on.
  const [forged, other] = [Uint8Array.from(derOf("server.key")), derOf("other.key")];
  forged.set(other.subarray(7, 39), 7);
  const base64 = btoa(String.fromCharCode(...forged)).replaceAll(/.{64}/g, "$&\n");
  const pem = `-----BEGIN EC PRIVATE KEY-----\n${base64}\n-----END EC PRIVATE KEY-----\n`;
  writeFileSync(`${folder}/forged.key`, pem);
  assertNotStrictEquals(pem, readFileSync(`${folder}/server.key`, "utf8"));
  return "forged.key";
}

/** Runs openssl s_server until `stop`. */
async function openssl(args: string[]): Promise<{ port: number; stop(): Promise<void> }> {
  const port = await freePort();
  const child = spawn("openssl", ["s_server", "-accept", `127.0.0.1:${port}`, ...args], {
    cwd: pki(),
    stdio: ["pipe", "pipe", "ignore"],
  });
  const closed = new Promise<void>((done) => child.once("close", () => done()));
  await within(
    new Promise<void>((done) => {
      let said = "";
      child.stdout.on("data", (chunk) => /ACCEPT/.test(said += chunk) && done());
    }),
    "start of openssl s_server",
  );
  return {
    port,
    async stop() {
      child.kill();
      await closed;
    },
  };
}
