/** The library face: what a handler may rely on, in the runtime that this runs in. */

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { type Handler, serve, type TlsServer } from "../mod.ts";
import { tlsThrough, within } from "./runtime/tools.ts";

const PATIENT = { timeout: 60_000 };

async function serving(
  handler: Handler,
  body: (server: TlsServer) => Promise<void>,
): Promise<void> {
  const { PATH } = process.env;
  const server = await serve(
    { hostname: "127.0.0.1", selfSigned: true, env: { PATH }, log: () => {} },
    handler,
  );
  try {
    await body(server);
  } finally {
    await server.shutdown();
  }
}

test("a handler may use its buffer again once it has been written", PATIENT, async () => {
  const size = 100_000;
  const count = 200;
  const handler: Handler = async ({ writable }) => {
    const writer = writable.getWriter();
    const buffer = new Uint8Array(size);
    for (let turn = 0; turn < count; turn++) {
      await writer.write(buffer.fill(turn));
      assert.equal(buffer.length, size);
    }
    await writer.close();
  };
  await serving(handler, async ({ port }) => {
    const { client, toServer } = await tlsThrough(port);
    let received = 0, wrong = 0, slow = true;
    client.on("data", (chunk: Uint8Array) => {
      for (const byte of chunk) if (byte !== Math.floor(received++ / size)) wrong++;
      if (!slow) return;
      slow = false;
      toServer.pause(); // all that can be under way is, before it goes on
      setTimeout(() => toServer.resume(), 300);
    });
    await within(new Promise((done) => client.once("end", done)), "end of output");
    assert.deepEqual([received, wrong], [size * count, 0]);
    client.destroy();
    toServer.destroy();
  });
});
