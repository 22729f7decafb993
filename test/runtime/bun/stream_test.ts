/** When a paused stream stops its native socket: a detail that the contract cannot test. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { BunStream } from "../../../src/runtime/bun/stream.ts";
import type { NativeSocket } from "../../../src/runtime/bun/types.ts";

test("a paused stream holds one piece without stopping its socket, and stops at the second", async () => {
  const calls: string[] = [];
  const native = { pause: () => calls.push("pause"), resume: () => calls.push("resume") };
  const stream = new BunStream(native as unknown as NativeSocket<BunStream>);
  const read: number[] = [];
  stream.take({ data: ([first]) => read.push(first ?? 0) });
  stream.received(Uint8Array.of(1));
  stream.resume();
  await Promise.resolve();
  assertEquals([read, calls], [[1], []]);
  stream.pause();
  assertEquals(calls, ["pause"]);
  stream.resume();
  const other = new BunStream(native as unknown as NativeSocket<BunStream>);
  other.received(Uint8Array.of(2));
  assertEquals(calls, ["pause", "resume"]);
  other.received(Uint8Array.of(3));
  assertEquals(calls, ["pause", "resume", "pause"]);
});
