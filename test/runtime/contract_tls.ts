/** The contract of TLS: successful handshakes, the properties of a session, and the stream. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { concat, equalBytes } from "../../src/codec/bytes.ts";
import type { TlsContext, TlsStream } from "../../src/runtime/runtime.ts";
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
  run,
  settings,
  text,
  tlsClient,
  tlsThrough,
  turns,
  until,
  within,
} from "./tools.ts";

/** Bun's default limit of a test is 5 s. */
const PATIENT = { timeout: 60_000 };

const NONE = new Uint8Array(0);

export function tlsContract(kit: Kit): void {
  const claim = (
    name: string,
    body: (kit: Kit, context: TlsContext) => Promise<void>,
    more: () => Parameters<typeof settings>[0] = () => ({}),
    skip = kit.skip,
  ) =>
    test(
      `${kit.way}: TLS: ${name}`,
      { ...PATIENT, skip },
      () => body(kit, kit.runtime.tlsContext(settings(more()))),
    );

  /** Makes one connection of openssl s_client with `args`. Calls `look` with the server's stream, then sends
   *  a line and ends the stream. */
  async function withOpenssl(
    kit: Kit,
    context: TlsContext,
    args: string[],
    look: (stream: TlsStream) => void,
  ): Promise<string> {
    const server = accepting(kit);
    const target = ["-connect", `127.0.0.1:${server.port}`];
    const client = run("openssl", ["s_client", "-ign_eof", ...target, ...args], "", { cwd: pki() });
    const socket = await server.next();
    const stream = await within(socket.startTls(context, NONE), "handshake");
    look(stream);
    stream.write(bytes("from the server\n"));
    stream.end();
    stream.resume();
    const { stdout } = await client;
    assertMatch(stdout, /from the server/);
    stream.destroy();
    server.close();
    return stdout;
  }

  claim(
    "authorities that are named in the request are not sent behind the chain",
    async (kit, context) => {
      const stdout = await withOpenssl(kit, context, ["-showcerts"], () => {});
      assertStrictEquals(stdout.match(/BEGIN CERTIFICATE/g)?.length, 1);
      assertMatch(
        stdout,
        /^Acceptable client certificate CA names\nCN = unrelated\nCN = middle$/m,
      );
    },
    () => ({
      requestCertificate: { ca: [file("unrelated.pem"), file("middle.pem")], required: false },
    }),
  );

  claim(
    "the server's order of ciphers counts",
    async (kit) => {
      const [first, second] = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"];
      for (const [ours, theirs] of [[first, second], [second, first]]) {
        const context = kit.runtime.tlsContext(settings({ ciphers: `${ours}:${theirs}` }));
        const order = ["-tls1_2", "-cipher", `${theirs}:${ours}`];
        await withOpenssl(kit, context, order, (stream) => {
          assertStrictEquals(stream.suite().cipher, ours);
        });
      }
    },
    undefined,
    kit.runtime.cipherLists ? kit.skip : "rustls takes no list of ciphers",
  );

  claim(
    "the client's order of ciphers counts if that is asked for",
    async (kit) => {
      const [first, second] = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"];
      const ours = { ciphers: `${first}:${second}`, cipherOrder: "client" } as const;
      const context = kit.runtime.tlsContext(settings(ours));
      await withOpenssl(kit, context, ["-tls1_2", "-cipher", `${second}:${first}`], (stream) => {
        assertStrictEquals(stream.suite().cipher, second);
      });
    },
    undefined,
    kit.runtime.cipherLists ? kit.skip : "rustls takes no list of ciphers",
  );

  claim("tickets can be switched off, or the option is refused", async (kit, context) => {
    if (!kit.runtime.cipherLists) {
      assertThrows(() => kit.runtime.tlsContext(settings({ tickets: false })), Error, "tickets");
      return;
    }
    const ticket = /TLS session ticket:/;
    const without = kit.runtime.tlsContext(settings({ tickets: false }));
    assertMatch(await withOpenssl(kit, context, ["-tls1_2"], () => {}), ticket);
    assertNotMatch(await withOpenssl(kit, without, ["-tls1_2"], () => {}), ticket);
  });

  claim("the server's cipher order is refused if the library has its own", (kit) => {
    const make = () => kit.runtime.tlsContext(settings({ cipherOrder: "server" }));
    if (kit.runtime.cipherLists) make();
    else assertThrows(make, Error, "rustls");
    return Promise.resolve();
  });

  claim("a session has protocol, cipher, server name and ALPN", async (kit, context) => {
    const named = ["-servername", "mail.example", "-alpn", "imap,smtp"];
    await withOpenssl(
      kit,
      context,
      ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", ...named],
      (stream) => {
        const { id: _, ...session } = stream.session();
        assertEquals(stream.suite(), {
          protocol: "TLSv1.3",
          cipher: "TLS_AES_128_GCM_SHA256",
        });
        assertEquals(session, {
          protocol: "TLSv1.3",
          cipher: "TLS_AES_128_GCM_SHA256",
          reused: false,
          serverName: "mail.example",
          alpn: "smtp",
          peerCertificates: [],
        });
      },
    );
    await withOpenssl(
      kit,
      context,
      ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-noservername"],
      (stream) => {
        const { id: _, ...session } = stream.session();
        assertEquals(session, {
          protocol: "TLSv1.2",
          cipher: "ECDHE-ECDSA-AES128-GCM-SHA256",
          reused: false,
          peerCertificates: [],
        });
      },
    );
  }, () => ({ alpn: ["smtp", "pop3"] }));

  claim("a session has the client's chain in DER, and whether it is trusted", async (kit) => {
    const cases = [
      { ca: [file("ca.pem")], trusted: true, required: true },
      { ca: [file("ca.pem")], trusted: true },
      { ca: [file("unrelated.pem")], trusted: false },
      { ca: [], trusted: false },
    ];
    const certificate = ["-cert", "client.pem", "-cert_chain", "middle.pem", "-key", "client.key"];
    for (const version of ["-tls1_2", "-tls1_3"]) {
      for (const { ca, trusted, required = false } of cases) {
        const context = kit.runtime.tlsContext(
          settings({ requestCertificate: { ca, required } }),
        );
        await withOpenssl(kit, context, [version, ...certificate], (stream) => {
          const { peerCertificates, verifyError } = stream.session();
          assert(equalBytes(peerCertificates[0]!, der(file("client.pem"))));
          assert(equalBytes(peerCertificates[1]!, der(file("middle.pem"))));
          assertStrictEquals(
            verifyError === undefined,
            trusted,
            `${version} ${ca.length}: ${verifyError}`,
          );
        });
      }
    }
  });

  claim("a certificate that was asked for may be missing", async (kit, context) => {
    await withOpenssl(kit, context, [], (stream) => {
      assertEquals(stream.session().peerCertificates, []);
    });
  }, () => ({ requestCertificate: { ca: [file("ca.pem")], required: false } }));

  claim(
    "bytes read before the handshake are part of it, wherever they are cut",
    async (kit, context) => {
      const server = accepting(kit);
      for (let cut = 1, length = 2; cut < length; cut++) {
        const { client, toServer, hello } = await tlsThrough(server.port, true);
        const socket = await server.next();
        const whole = await hello;
        length = whole.length;
        toServer.write(whole.subarray(0, cut));
        const first = await readSome(socket, cut, cut % 2 ? "pause" : "hold");
        const early = cut % 4 === 0;
        if (early) { // the rest arrives while the stream is not read
          await new Promise((written) => toServer.write(whole.subarray(cut), written));
          await turns();
        }
        const taken = socket.startTls(context, first);
        if (!early) toServer.write(whole.subarray(cut));
        const stream = await within(taken, `handshake cut at ${cut}`);
        client.write("ping");
        assertStrictEquals(text(await readSome(stream, 4)), "ping");
        stream.destroy();
        client.destroy();
      }
      server.close();
    },
  );

  claim(
    "early data of the client is kept, and close_notify is an end",
    async (kit, context) => {
      const server = accepting(kit);
      const client = tlsClient(server.port);
      const answer = within(
        new Promise<string>((done) => client.once("data", (chunk) => done(String(chunk)))),
        "answer",
      );
      const sent = within(new Promise<void>((done) => client.end("all at once", done)), "sent");
      const socket = await server.next();
      const stream = await within(socket.startTls(context, NONE), "handshake");
      await sent;
      await turns();
      assertStrictEquals(text(await readAll(stream)), "all at once");
      stream.write(bytes("output still flows"));
      assertStrictEquals(await answer, "output still flows");
      stream.destroy();
      client.destroy();
      server.close();
    },
  );

  claim("end() sends close_notify and FIN; input still flows", async (kit, context) => {
    const server = accepting(kit);
    const { client, toServer } = await tlsThrough(server.port);
    const socket = await server.next();
    const stream = await within(socket.startTls(context, NONE), "handshake");
    const finished = within(new Promise<void>((done) => toServer.once("end", done)), "FIN");
    const notified = within(new Promise<void>((done) => client.once("end", done)), "close_notify");
    client.resume();
    stream.write(bytes("the end"));
    stream.end();
    await notified;
    await finished;
    client.write("late");
    assertStrictEquals(text(await readSome(stream, 4)), "late");
    stream.destroy();
    client.destroy();
    toServer.destroy();
    server.close();
  });

  claim(
    "without closeNotify, end() sends all output, then FIN and no alert; input still flows",
    async (kit, context) => {
      const server = accepting(kit);
      const { client, toServer } = await tlsThrough(server.port);
      const types = new Set<number>(); // of the server's records after the handshake
      let [rest, count]: [Uint8Array, number] = [NONE, 0];
      const socket = await server.next();
      const stream = await within(socket.startTls(context, NONE), "handshake");
      await within(new Promise<void>((done) => client.once("secureConnect", done)), "handshake");
      toServer.on("data", (chunk: Uint8Array) => {
        rest = concat([rest, chunk]);
        for (let size = 0; rest.length >= 5; rest = rest.subarray(size)) {
          size = 5 + rest[3]! * 256 + rest[4]!;
          if (rest.length < size) break;
          types.add(rest[0]!);
        }
      });
      toServer.pause();
      client.on("data", (part: Uint8Array) => count += part.length);
      const finished = within(new Promise<void>((done) => toServer.once("end", done)), "FIN");
      stream.closeNotify = false;
      let total = 0;
      for (let more = true; more || total < 8_000_000; total += 100_000) {
        more = stream.write(new Uint8Array(100_000));
        await new Promise((done) => setTimeout(done, 0));
      }
      stream.end();
      toServer.resume();
      await finished;
      await until(() => count === total, "all output");
      assertEquals([...types], [23]);
      client.write("late");
      assertStrictEquals(text(await readSome(stream, 4)), "late");
      const closed = event(stream, "close");
      stream.resume();
      toServer.end();
      assertStrictEquals(await closed, undefined);
      client.destroy();
      server.close();
    },
    () => ({ maxVersion: "TLSv1.2" }),
  );

  claim("FIN without close_notify is an end, and output still flows", async (kit, context) => {
    const server = accepting(kit);
    const { client, toServer } = await tlsThrough(server.port);
    const socket = await server.next();
    const stream = await within(socket.startTls(context, NONE), "handshake");
    client.write("cut");
    assertStrictEquals(text(await readSome(stream, 3)), "cut");
    const ended = event(stream, "end");
    stream.resume();
    toServer.end();
    await ended;
    const answer = within(
      new Promise<string>((done) => client.once("data", (chunk) => done(String(chunk)))),
      "answer",
    );
    stream.write(bytes("answer"));
    assertStrictEquals(await answer, "answer");
    const closed = event(stream, "close");
    stream.end();
    assertStrictEquals(await closed, undefined);
    client.destroy();
    server.close();
  });

  claim(
    "a paused stream stops the client: memory is bounded, and nothing is lost",
    async (kit, context) => {
      const size = 300_000_000;
      const server = accepting(kit);
      const target = `-connect 127.0.0.1:${server.port}`;
      const client = spawn("bash", [
        "-c",
        `head -c ${size} /dev/zero | openssl s_client -quiet ${target}`,
      ], {
        stdio: "ignore",
      });
      const socket = await server.next();
      const stream = await within(socket.startTls(context, NONE), "handshake");
      let count = (await readSome(stream, 1)).length;
      const before = residentMb();
      // No memory may be taken here, so there is no event to wait for.
      await new Promise((done) => setTimeout(done, 700));
      assert(residentMb() - before < 60, `grew by ${residentMb() - before} MB while paused`);
      const all = within(
        new Promise<void>((done) =>
          stream.take({
            data(chunk) {
              count += chunk.length;
              if (count >= size) done();
            },
          })
        ),
        "all data",
        60_000,
      );
      stream.resume();
      await all;
      assertStrictEquals(count, size);
      stream.destroy();
      await until(() => client.exitCode !== null, "end of the client");
      server.close();
    },
  );

  claim(
    "unsent bytes can be counted on the socket below",
    async (kit, context) => {
      const server = accepting(kit);
      const { client, toServer } = await tlsThrough(server.port);
      const socket = await server.next();
      const stream = await within(socket.startTls(context, NONE), "handshake");
      toServer.pause();
      while (stream.write(new Uint8Array(100_000))) {
        await new Promise((done) => setTimeout(done, 0));
      }
      await until(() => (socket.unacknowledged() ?? 0) > 0, "bytes on their way");
      stream.destroy();
      client.destroy();
      toServer.destroy();
      server.close();
    },
    undefined,
    kit.knowsDescriptor ? kit.skip : "Deno does not tell the descriptor",
  );

  claim("a lent buffer is sent whole, also if the pipe reuses it", async (kit, context) => {
    const server = accepting(kit);
    const { client, toServer } = await tlsThrough(server.port);
    const socket = await server.next();
    const stream = await within(socket.startTls(context, NONE), "handshake");
    toServer.pause();
    const print = (letter: string, size: number) =>
      kit.runtime.spawn({
        command: ["/bin/sh", "-c", `head -c ${size} /dev/zero | tr '\\0' ${letter}`],
        env: { PATH: "/usr/bin:/bin" },
      });
    const size = 20_000_000;
    const program = print("a", size);
    let heldUp = false;
    program.output.take({
      data(chunk) {
        heldUp = !stream.write(chunk);
        if (heldUp) program.output.pause();
      },
    });
    stream.take({
      drain() {
        heldUp = false;
        program.output.resume();
      },
    });
    program.output.resume();
    const stuck = async (): Promise<void> => {
      for (let turn = 0; turn < 20; turn = heldUp ? turn + 1 : 0) await turns();
    };
    await within(stuck(), "write() that says no for good");
    const other = print("b", 300_000);
    assertStrictEquals((await readAll(other.output)).length, 300_000);
    let [count, wrong] = [0, 0];
    const all = new Promise<void>((resolve) => {
      client.on("data", (part: Uint8Array) => {
        count += part.length;
        for (const byte of part) if (byte !== 97) wrong++;
        if (count >= size) resolve();
      });
    });
    toServer.resume();
    await within(all, "output");
    assertEquals([count, wrong], [size, 0]);
    await Promise.all([program.exited, other.exited]);
    stream.destroy();
    client.destroy();
    toServer.destroy();
    server.close();
  });

  claim(
    "write() returns false, drain follows, and all bytes arrive in order",
    async (kit, context) => {
      const server = accepting(kit);
      const { client, toServer } = await tlsThrough(server.port);
      const socket = await server.next();
      const stream = await within(socket.startTls(context, NONE), "handshake");
      toServer.pause();
      const sent: number[] = [];
      let total = 0;
      const write = () => {
        const chunk = new Uint8Array(50_000).fill(sent.length % 251);
        sent.push(chunk.length);
        total += chunk.length;
        return stream.write(chunk);
      };
      while (write()) {
        assert(total < 100_000_000, "write() never said no");
        await new Promise((done) => setTimeout(done, 0));
      }
      const drained = event(stream, "drain");
      let count = 0;
      client.on("data", (part: Uint8Array) => {
        for (let at = 0; at < part.length; at += 997) {
          assertStrictEquals(part[at], Math.floor((count + at) / 50_000) % 251);
        }
        count += part.length;
      });
      const ended = within(new Promise<void>((done) => client.once("end", done)), "end");
      toServer.resume();
      await drained;
      write();
      stream.end();
      await ended;
      assertStrictEquals(count, total);
      stream.destroy();
      client.destroy();
      server.close();
    },
  );
}
