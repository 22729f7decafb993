/** Pipes on Bun under Linux: details that the contract of programs cannot test. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { readdirSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import type { PipeSource } from "../../../src/runtime/bun/pipe.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import type { Sink } from "../../../src/runtime/runtime.ts";
import { bytes, event, readSome, text, until } from "../tools.ts";

interface Kit {
  libc: Libc;
  source(fd: number): PipeSource;
  sink(fd: number): Sink;
}

async function makeKit(): Promise<Kit> {
  const { loadLibc } = await import("../../../src/runtime/bun/load_libc.ts");
  const { PipeSink, PipeSource } = await import("../../../src/runtime/bun/pipe.ts");
  const libc = loadLibc();
  return {
    libc,
    source: (fd) => new PipeSource(fd, libc),
    sink: (fd) => new PipeSink(fd, libc),
  };
}

test("other runtimes have their own pipe ends", {
  skip: "Bun" in globalThis && "this is about other runtimes",
}, async () => {
  const { denoRuntime } = await import("../../../src/runtime/deno/adapter.ts");
  assertStrictEquals(typeof denoRuntime().adoptEnds, "function");
});

function claim(name: string, body: (kit: Kit) => Promise<void>): void {
  const skip = (!("Bun" in globalThis) || process.platform !== "linux") &&
    "this is about Bun on Linux";
  test(name, { skip, timeout: 30_000 }, async () => body(await makeKit()));
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const openFiles = (): number => readdirSync("/proc/self/fd").length;

claim("bytes and an end that arrive together are reported in order", async (kit) => {
  const [read, write] = kit.libc.pipe();
  kit.libc.write(write, bytes("last words"));
  kit.libc.close(write);
  const source = kit.source(read);
  const told: string[] = [];
  const closed = event(source, "close", {
    data: (chunk) => told.push(text(chunk)),
    end: () => told.push("end"),
  });
  source.resume();
  await closed;
  assertEquals(told, ["last words", "end"]);
  assertStrictEquals(source.readable(), false);
});

claim(
  "data that arrives while paused stays in the pipe until resume",
  async (kit) => {
    const [read, write] = kit.libc.pipe();
    const source = kit.source(read);
    kit.libc.write(write, bytes("a"));
    assertStrictEquals(text(await readSome(source, 1)), "a");
    const later: string[] = [];
    source.take({ data: (chunk) => later.push(text(chunk)) });
    kit.libc.write(write, bytes("b"));
    await turn();
    await turn();
    kit.libc.write(write, bytes("c"));
    await turn();
    assertEquals(later, []);
    assertStrictEquals(source.readable(), true);
    source.resume();
    await until(() => later.join("") === "bc", "the rest");
    assertStrictEquals(source.readable(), false);
    kit.libc.write(write, bytes("d"));
    await until(() => later.join("") === "bcd", "more");
    source.destroy();
    kit.libc.close(write);
  },
);

claim("chunks of any size arrive in order through a pipe that is often full", async (kit) => {
  const [read, write] = kit.libc.pipe();
  const source = kit.source(read);
  const sink = kit.sink(write);
  const size = 6_000_000;
  let got = 0;
  let wrong = 0;
  const ended = event(source, "end", {
    data(chunk) {
      for (const byte of chunk) if (byte !== (got++ * 31 & 255)) wrong++;
      if (got % 3 === 0) {
        source.pause();
        setImmediate(() => source.resume());
      }
    },
  });
  source.resume();
  for (let sent = 0, step = 1; sent < size; step = step * 7 % 300_007) {
    const from = sent;
    const chunk = Uint8Array.from(
      { length: Math.min(step, size - sent) },
      (_, i) => (from + i) * 31,
    );
    sent += chunk.length;
    if (!sink.write(chunk)) await event(sink, "drain");
  }
  sink.end();
  await ended;
  assertEquals({ got, wrong }, { got: size, wrong: 0 });
});

claim("queued data is written before the end", async (kit) => {
  const [read, write] = kit.libc.pipe();
  const sink = kit.sink(write);
  assertStrictEquals(sink.write(new Uint8Array(1_000_000)), false);
  assertStrictEquals(sink.write(bytes("tail")), false);
  sink.end();
  const source = kit.source(read);
  const got = await readSome(source, 1_000_004);
  assertStrictEquals(text(got.subarray(-4)), "tail");
  source.destroy();
});

claim("the memory of a spent chunk is freed once all of it is written", async (kit) => {
  const [read, write] = kit.libc.pipe();
  const sink = kit.sink(write);
  const size = (chunk: Uint8Array): number => chunk.buffer.byteLength;
  const written = new Uint8Array(20_000);
  const kept = new Uint8Array(20_000);
  assert(sink.write(written, true) && sink.write(kept));
  const waiting = new Uint8Array(300_000).fill(1);
  const more = new Uint8Array(300_000).fill(2);
  assertEquals([sink.write(waiting, true), sink.write(more, true)], [false, false]);
  assertEquals([written, kept, waiting, more].map(size), [0, 20_000, 300_000, 300_000]);
  const drained = event(sink, "drain");
  const source = kit.source(read);
  const got = await readSome(source, 640_000);
  assertEquals([got[39_999], got[40_000], got[339_999], got[340_000], got[639_999]], [
    0,
    1,
    1,
    2,
    2,
  ]);
  await drained;
  assertEquals([waiting, more].map(size), [0, 0]);
  source.destroy();
  sink.destroy();
});

claim("a reused descriptor number belongs to the new pipe only", async (kit) => {
  const pipes = Array.from({ length: 20 }, () => kit.libc.pipe());
  const sources = pipes.map(([read]) => kit.source(read));
  const news: PipeSource[] = [];
  const told: string[] = [];
  sources.forEach((source) => {
    const data = (): void => {
      // The events of the other sources in this turn are already queued.
      for (const other of sources.splice(0)) other.destroy();
      for (let i = 0; i < 20; i++) {
        const [read, write] = kit.libc.pipe();
        const fresh = kit.source(read);
        fresh.take({ data: (chunk) => told.push(text(chunk)), end: () => told.push("end") });
        fresh.resume();
        kit.libc.write(write, bytes("x"));
        kit.libc.close(write);
        news.push(fresh);
      }
    };
    source.take({ data });
    source.resume();
  });
  for (const [, write] of pipes) kit.libc.write(write, bytes("go"));
  await until(() => told.length === 40, "all of the new pipes");
  assertStrictEquals(told.filter((one) => one === "x").length, 20);
  assert(news.every((one) => !one.readable()));
  for (const [, write] of pipes) kit.libc.close(write);
});

claim("idle pipe ends use one descriptor each and leave none", async (kit) => {
  const [read, write] = kit.libc.pipe();
  const first = kit.source(read); // opens the descriptor that all share
  first.resume();
  await turn();
  const before = openFiles();
  const ends = Array.from({ length: 50 }, () => {
    const [read, write] = kit.libc.pipe();
    const source = kit.source(read);
    const sink = kit.sink(write);
    const heard = new Promise<void>((resolve) => source.take({ data: () => resolve() }));
    source.resume();
    sink.write(bytes("x"));
    return { source, sink, heard };
  });
  await Promise.all(ends.map(({ heard }) => heard));
  await turn();
  await turn();
  assertStrictEquals(openFiles() - before, 100);
  for (const { source, sink } of ends) {
    source.destroy();
    sink.destroy();
  }
  await until(() => openFiles() <= before, "all closed");
  first.destroy();
  kit.libc.close(write);
});
