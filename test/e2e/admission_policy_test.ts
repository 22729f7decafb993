/** Which connections are accepted, handshaken and served, in which order, and which are closed. */

import { assert, assertNotMatch, assertStrictEquals } from "@std/assert";
import { once } from "node:events";
import * as net from "node:net";
import * as tls from "node:tls";
import { Raw, talk } from "./clients.ts";
import { claim, type Server, settled, within } from "./harness.ts";
import { curl, samples, where } from "./metrics.ts";
import { unread } from "../tcp_table.ts";

/** A complete ClientHello, from a real client. */
async function wholeHello(): Promise<Uint8Array> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const client = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  client.on("error", () => {});
  const [socket] = await once(server, "connection") as [net.Socket];
  const [bytes] = await once(socket, "data") as [Uint8Array];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** A client that begins TLS only when `greet` is called. */
class Late {
  #secure: tls.TLSSocket | undefined;

  constructor(readonly socket: net.Socket) {
    socket.on("error", () => {});
  }

  static async connect({ port }: Server): Promise<Late> {
    const socket = net.connect({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    return new Late(socket);
  }

  /** Sends the ClientHello. Resolves when the server has read it. */
  async greet(server: Server, said: () => void): Promise<void> {
    this.#secure = tls.connect({ socket: this.socket, rejectUnauthorized: false });
    this.#secure.on("error", () => {});
    this.#secure.once("data", said);
    const port = this.socket.localPort as number;
    await settled(() => unread(server.port, port), (bytes) => bytes === 0);
  }

  leave(): void {
    this.#secure?.destroy();
    this.socket.destroy();
  }
}

/** Waits until `more` further connections are accepted. */
async function accepted(server: Server, before: number, more: number): Promise<void> {
  await settled(() => server.descriptors().length, (now) => now >= before + more);
}

claim("-c 1: clients are served in the order in which their hello was complete", async (t) => {
  const server = await t.start({
    options: ["-c", "1", ...t.oneSpeaker],
    program: ["sh", "-c", "echo in; cat"],
  });
  const before = server.descriptors().length;
  const came = await Promise.all([0, 1, 2, 3].map(() => Late.connect(server)));
  await accepted(server, before, 4);
  const order: Late[] = [];
  const greeted = [came[2], came[0], came[3], came[1]] as Late[];
  const turns = greeted.map(() => Promise.withResolvers<void>());
  for (const [i, client] of greeted.entries()) {
    await client.greet(server, () => {
      order.push(client);
      turns[i]?.resolve();
    });
    if (i === 0) await within(turns[0]!.promise, 10_000, "the first was not served");
  }
  for (const [i, client] of greeted.entries()) {
    await within(turns[i]!.promise, 10_000, `number ${i} was not served`);
    assertStrictEquals(order.length, i + 1);
    assertStrictEquals(order.at(-1), client, `number ${i}`);
    client.leave();
  }
});

claim("a client without a complete ClientHello takes no slot", async (t) => {
  const server = await t.start({ options: ["-c", "1"], program: ["echo", "hello"] });
  const hello = await wholeHello();
  const silent = await Promise.all([0, 1, 400].map(async (length) => {
    const raw = await Raw.connect(server.port);
    return raw.send(hello.subarray(0, length));
  }));
  for (let i = 0; i < 3; i++) assertStrictEquals((await talk(t, server)).text, "hello\n");
  for (const raw of silent) raw.destroy();
});

claim("-c 2: no more handshakes than free slots, and none keeps its slot for long", async (t) => {
  const server = await t.start({ options: ["-c", "2", ...t.oneSpeaker] });
  const hello = await wholeHello();
  const before = server.descriptors().length;
  const raws = await Promise.all(Array.from({ length: 6 }, () => Raw.connect(server.port)));
  await accepted(server, before, 6);
  const answers: number[] = [];
  const begun = performance.now();
  await Promise.all(raws.map(async (raw) => {
    raw.send(hello);
    await once(raw.socket, "data");
    answers.push(performance.now() - begun);
  }));
  const [, , third, , fifth] = answers as [number, number, number, number, number];
  assert(third >= 900 && fifth >= 1900, answers.join());
  for (const raw of raws) raw.destroy();
});

claim(
  "--pending: one byte gives no advantage, and a slow honest client survives",
  async (t) => {
    const server = await t.start({
      options: ["--pending", "20", ...t.oneSpeaker],
      program: ["echo", "in"],
    });
    const one = Uint8Array.of(22);
    const old: Raw[] = [];
    for (let i = 0; i < 20; i++) old.push((await Raw.connect(server.port)).send(one));
    const port = (raw: Raw): number => raw.socket.localPort as number;
    for (const raw of old) {
      await settled(() => unread(server.port, port(raw)), (bytes) => bytes === 0);
    }
    const slow = await Late.connect(server);
    const said = Promise.withResolvers<void>();
    for (let i = 0; i < 10; i++) old.push((await Raw.connect(server.port)).send(one));
    for (const raw of old.slice(0, 11)) await raw.closedWithin();
    await slow.greet(server, said.resolve);
    await within(said.promise, 10_000, "the slow client was not served");
    for (const raw of old) raw.destroy();
  },
);

claim("connections that are reset at once are all counted", async (t) => {
  const server = await t.start({
    options: ["--metrics", "127.0.0.1:0"],
    program: ["echo", "hello"],
  });
  const url = await where(server);
  for (let i = 0; i < 50; i++) {
    const socket = net.connect({ port: server.port, host: "127.0.0.1" });
    socket.on("error", () => {});
    socket.once("connect", () => socket.resetAndDestroy());
    await once(socket, "close");
  }
  const failed = async (): Promise<number> =>
    samples(await curl(t, url)).get('connections_total{outcome="handshake_failed"}') ?? 0;
  const count = await settled(failed, (n) => n === 50);
  assertStrictEquals(count, 50);
  assertNotMatch(server.log(), /internal error|undefined/);
  assertStrictEquals((await talk(t, server)).text, "hello\n");
});
