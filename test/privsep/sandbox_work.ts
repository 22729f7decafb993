/** What a worker and its runtime must be able to do inside the sandbox. Each function returns how much it
 *  has done. */

import { randomBytes, webcrypto } from "node:crypto";
import dgram from "node:dgram";
import { once } from "node:events";
import fs from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import type { Libc } from "../../src/runtime/libc/libc.ts";
import type { Runtime, Socket } from "../../src/runtime/runtime.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";
import { readAll, tlsClient, until, within } from "../runtime/tools.ts";

/** A TLS echo server through the adapter, on a descriptor, and a function that runs clients. */
export function echoServer(runtime: Runtime, libc: Libc) {
  const { certPem, keyPem } = makeSelfSigned(["localhost"]);
  const context = runtime.tlsContext({
    keyPairs: [{ chain: certPem, key: keyPem }],
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
  });
  const echo = async (socket: Socket) => {
    const stream = await socket.startTls(context, new Uint8Array(0));
    stream.take({ data: (chunk) => stream.write(chunk), end: () => stream.end() });
    stream.resume();
  };
  const { fd, port } = libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 64 });
  const listener = runtime.listenDescriptor(fd, 64, (socket) => void echo(socket).catch(() => {}));
  /** Makes `count` connections, one after another. */
  const handshakes = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) {
      const client = tlsClient(port);
      await within(once(client, "secureConnect"), "handshake");
      const sent = randomBytes(100_000);
      let got = 0;
      const all = new Promise<void>((enough) => {
        client.on("data", (chunk: Uint8Array) => (got += chunk.length) >= sent.length && enough());
      });
      client.write(sent);
      await within(all, "echo");
      client.destroy();
    }
    return count;
  };
  return { listener, port, handshakes };
}

/** Sends UDP questions as to a DNS server. */
export async function udp(): Promise<number> {
  const [server, client] = [dgram.createSocket("udp4"), dgram.createSocket("udp4")];
  let count = 0;
  server.on("message", (data, from) => server.send(data, from.port, from.address));
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  for (let i = 0; i < 50; i++) {
    const answer = once(client, "message");
    client.send(new TextEncoder().encode(`question ${i}`), server.address().port, "127.0.0.1");
    const [data] = await within(answer, "datagram");
    if (String(data) === `question ${i}`) count++;
  }
  server.close();
  client.close();
  return count;
}

/** Connects from a given address, as to an ident server. */
export async function fromAddress(port: number): Promise<string> {
  const client = connect({ host: "127.0.0.1", port, localAddress: "127.0.0.2" });
  await within(once(client, "connect"), "connection");
  const from = client.localAddress;
  client.destroy();
  return String(from);
}

export async function timers(count: number): Promise<number> {
  let fired = 0;
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      new Promise<void>((done) =>
        setTimeout(() => {
          fired++;
          done();
        }, i % 50)
      )),
  );
  return fired;
}

/** Sets a signal listener, as a worker does before the sandbox. The returned function sends the signal. */
export function signal(runtime: Runtime): () => Promise<boolean> {
  let came = false;
  runtime.onSignal("SIGHUP", () => came = true);
  return async () => {
    process.kill(process.pid, "SIGHUP");
    await until(() => came, "a signal");
    return came;
  };
}

/** Makes small garbage for the young generation and large for the old one, and returns memory. */
export function collections(): number {
  let keep: unknown[] = [];
  for (let i = 0; i < 400_000; i++) {
    keep.push({ i, bytes: new Uint8Array(64) });
    if (keep.length > 20_000) keep = [];
  }
  for (let i = 0; i < 40; i++) keep = [new Uint8Array(8 << 20).fill(i), keep[0]];
  return keep.length;
}

/** A loop long enough for every tier of the JIT compilers. */
export function hot(): number {
  const body = (n: number) =>
    `let s = ${n}; for (let i = 0; i < 20000; i++) s = (s * 31 + i + x) | 0; return s`;
  const functions = Array.from({ length: 40 }, (_, n) => new Function("x", body(n)));
  let sum = 0;
  for (let round = 0; round < 40; round++) for (const one of functions) sum ^= one(round);
  return Number.isInteger(sum) ? functions.length : 0;
}

export async function crypto(): Promise<string> {
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const { privateKey, publicKey } = await webcrypto.subtle.generateKey(curve, true, [
    "sign",
    "verify",
  ]);
  const data = randomBytes(64);
  const by = { name: "ECDSA", hash: "SHA-256" };
  const signature = await webcrypto.subtle.sign(by, privateKey, data);
  const good = await webcrypto.subtle.verify(by, publicKey, signature, data);
  const sum = await webcrypto.subtle.digest("SHA-512", data);
  return `${good} ${sum.byteLength} ${webcrypto.getRandomValues(new Uint8Array(8)).length}`;
}

/** Enough work at once that the runtime starts further threads. */
export async function pool(path: string): Promise<number> {
  const one = () => fs.promises.stat(path).then(() => 1, () => 0);
  const results = await Promise.all(Array.from({ length: 64 }, one));
  return results.filter((result) => result === 1).length;
}

/** Receives ends of pipes with a message, as from the monitor. */
export async function pipesByMessage(
  runtime: Runtime,
  libc: Libc,
  [left, right]: readonly [number, number],
): Promise<string> {
  const [input, output] = [libc.pipe(), libc.pipe()];
  libc.sendDescriptors(left, new Uint8Array(1), [input[1], output[0]]);
  const ends = runtime.adoptEnds(libc.receiveDescriptors(right, 16, 4)?.fds ?? []);
  ends.input.write(new TextEncoder().encode("to the program"));
  libc.write(output[1], new TextEncoder().encode("from the program"));
  libc.close(output[1]);
  const heard = new TextDecoder().decode(await readAll(ends.output));
  let asked: Uint8Array | undefined;
  await until(() => (asked = libc.read(input[0], 100)) !== undefined, "bytes in the pipe");
  return `${heard}, ${new TextDecoder().decode(asked)}`;
}
