/** The contract of TLS with a tap: it sees all bytes, and connections that are traced end as others
 *  do. */

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import { concat } from "../../src/codec/bytes.ts";
import type { Socket } from "../../src/runtime/runtime.ts";
import type { TlsTap } from "../../src/runtime/tap.ts";
import { endingsContract } from "./contract_endings.ts";
import { kits, thisRuntime } from "./kits.ts";
import { accepting, bytes, type Kit, readAll, settings, tlsThrough, within } from "./tools.ts";

const IGNORED: TlsTap = { received() {}, sent() {} };
const NONE = new Uint8Array(0);

function tapped(socket: Socket): Socket {
  const startTls = socket.startTls.bind(socket);
  socket.startTls = (context, first) => startTls(context, first, IGNORED);
  return socket;
}

const [plain] = kits(await thisRuntime()) as [Kit];

endingsContract({
  ...plain,
  way: "tapped",
  listen: (where, onSocket) => plain.listen(where, (socket) => onSocket(tapped(socket))),
});

test("a tap sees the bytes of both directions, in order and once", async () => {
  const server = accepting(plain);
  const { client, toServer } = await tlsThrough(server.port);
  const network = { received: [] as Uint8Array[], sent: [] as Uint8Array[] };
  const write = toServer.write.bind(toServer) as (chunk: Uint8Array) => boolean;
  toServer.write = ((chunk: Uint8Array) => {
    network.received.push(chunk);
    return write(chunk);
  }) as typeof toServer.write;
  toServer.on("data", (chunk: Uint8Array) => network.sent.push(chunk));
  const seen = { received: [] as Uint8Array[], sent: [] as Uint8Array[] };
  const tap: TlsTap = {
    received: (chunk) => seen.received.push(chunk.slice()),
    sent: (chunk) => seen.sent.push(chunk.slice()),
  };
  const socket = await server.next();
  const context = plain.runtime.tlsContext(settings({}));
  const stream = await within(socket.startTls(context, NONE, tap), "handshake");
  const answer = new Uint8Array(1 << 20).fill(0x61);
  let got = 0;
  client.on("data", (chunk: Uint8Array) => got += chunk.length);
  const ended = new Promise((done) => client.once("end", done));
  client.end("a line");
  const line = await readAll(stream);
  stream.write(answer);
  stream.end();
  await within(ended, "end of the answer");
  assertEquals([line, got], [bytes("a line"), answer.length]);
  for (const way of ["received", "sent"] as const) {
    assertEquals(concat(seen[way]), concat(network[way]), way);
  }
  assert(concat(seen.sent).length > answer.length);
  stream.destroy();
  server.close();
});
