/** Deno's stream over a blocked wire: the memory that one client may cost if it does not read. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { AdoptedStream } from "../../../src/runtime/deno/adopted.ts";
import { type Wire, WireStream } from "../../../src/runtime/deno/stream.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import { libcHere } from "../libc/here.ts";
import { event, turns, within } from "../tools.ts";

const never = new Promise<never>(() => {});
const stuck: Wire = {
  read: () => never,
  write: () => never,
  closeWrite: () => never,
  close() {},
};
const CHUNK = 16_384;

test("write() returns false when one TLS record is unread", () => {
  const stream = new WireStream(stuck, { input: true, output: true });
  let queued = 0;
  do queued += CHUNK; while (stream.write(new Uint8Array(CHUNK)));
  assertStrictEquals(queued, CHUNK);
  stream.destroy();
});

test("destroy() frees unsent data", () => {
  const stream = new WireStream(stuck, { input: true, output: true });
  const chunks = [1, 2, 3].map(() => new Uint8Array(CHUNK));
  for (const chunk of chunks) stream.write(chunk, true);
  stream.destroy();
  assertEquals(chunks.slice(1).map(({ length }) => length), [0, 0]);
});

/** Fills a pipe. Returns the number of bytes written. */
function fillPipe(libc: Libc, fd: number): number {
  libc.setNonBlocking(fd, true);
  const chunk = new Uint8Array(CHUNK);
  let total = 0;
  for (let taken; (taken = libc.write(fd, chunk)) !== undefined;) total += taken;
  return total;
}

test("a paused stream of a descriptor reads nothing ahead", {
  skip: !("Deno" in globalThis) && "this is about Deno",
}, async () => {
  const libc = await libcHere();
  const [read, write] = libc.pipe();
  const fill = () => fillPipe(libc, write);
  const first = fill();
  const stream = new AdoptedStream(read, { kind: "pipe", readable: true, writable: false });
  let taken = 0;
  await within(
    new Promise<void>((done) => {
      stream.take({
        data({ length }) {
          taken += length;
          stream.pause();
          fill();
          done();
        },
      });
      stream.resume();
    }),
    "data",
  );
  await turns();
  assertStrictEquals(fill(), 0, "the pipe is still full");
  let more = 0;
  await within(
    new Promise<void>((done) => {
      stream.take({ data: ({ length }) => (more += length) < first || done() });
      stream.resume();
    }),
    "the rest",
  );
  stream.destroy();
  libc.close(write);
  assert(taken > 0);
});

test(
  "write() of a descriptor's stream returns false when a record is unread, and after the close",
  {
    skip: !("Deno" in globalThis) && "this is about Deno",
  },
  async () => {
    const libc = await libcHere();
    const [read, write] = libc.pipe();
    libc.setNonBlocking(read, true);
    const before = fillPipe(libc, write);
    const stream = new AdoptedStream(write, { kind: "pipe", readable: false, writable: true });
    let queued = 0;
    do queued += CHUNK; while (stream.write(new Uint8Array(CHUNK)));
    assertStrictEquals(queued, CHUNK);
    const drained = event(stream, "drain");
    for (let left = before + queued; left > 0;) {
      await turns();
      left -= libc.read(read, left)?.length ?? 0;
    }
    await drained;
    stream.destroy();
    libc.close(read);
  },
);
