/** Deno's stream over a wire that takes nothing: what one client that does not read may cost. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Wire, WireStream } from "../../src/runtime/deno_stream.ts";

const never = new Promise<never>(() => {});
const stuck: Wire = {
  read: () => never,
  write: () => never,
  closeWrite: () => never,
  close() {},
};
const CHUNK = 16_384;

test("write() says no before 100 KB wait for a client that does not read", () => {
  const stream = new WireStream(stuck, { input: true, output: true });
  let queued = 0;
  do queued += CHUNK; while (stream.write(new Uint8Array(CHUNK)));
  assert.ok(queued <= 100_000, `${queued} bytes`);
  stream.destroy();
});

test("destroy() frees what has not been sent", () => {
  const stream = new WireStream(stuck, { input: true, output: true });
  const chunks = [1, 2, 3].map(() => new Uint8Array(CHUNK));
  for (const chunk of chunks) stream.write(chunk, true);
  stream.destroy();
  assert.deepEqual(chunks.slice(1).map(({ length }) => length), [0, 0]);
});
