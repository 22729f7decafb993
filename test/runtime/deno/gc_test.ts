/** When Deno collects garbage and returns memory to the system, and that it does. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { BurstCollector, collector } from "../../../src/runtime/deno/gc.ts";
import type { Listener, Socket } from "../../../src/runtime/runtime.ts";
import { libcHere } from "../libc/here.ts";
import { dial, turns, within } from "../tools.ts";

const onDeno = { skip: !("Deno" in globalThis) && "this is about Deno" };

/** A collector with a window that the test ends. */
function made() {
  const windows: (() => void)[] = [];
  let collected = 0;
  const collector = new BurstCollector(() => collected++, (call) => windows.push(call));
  return {
    collector,
    count: (n: number) => {
      for (let i = 0; i < n; i++) collector.count();
    },
    endWindow: () => windows.shift()?.(),
    get watching() {
      return windows.length;
    },
    get collected() {
      return collected;
    },
  };
}

test("garbage is collected once after a burst", () => {
  const one = made();
  one.count(199);
  assertStrictEquals(one.watching, 0);
  one.count(1);
  assertStrictEquals(one.watching, 1);
  one.count(300); // the burst continues
  assertStrictEquals(one.watching, 1);
  one.endWindow();
  assertStrictEquals(one.collected, 0);
  one.count(3); // the load of a quiet server
  one.endWindow();
  assertStrictEquals(one.collected, 1);
  assertStrictEquals(one.watching, 0);
});

test("garbage is also collected after the start", () => {
  const one = made();
  one.collector.collectWhenQuiet();
  one.collector.collectWhenQuiet();
  assertStrictEquals(one.watching, 1);
  one.endWindow();
  assertStrictEquals(one.collected, 1);
});

test("garbage is freed first, and then given back to the system", onDeno, async () => {
  let garbage: object | undefined = {};
  const there = new WeakRef(garbage);
  garbage = undefined;
  await turns(); // a new WeakRef keeps its target alive until the end of the turn
  const trimmed: boolean[] = [];
  collector(() => trimmed.push(there.deref() === undefined))();
  assertEquals(trimmed, [true]);
});

test("glibc has malloc_trim", onDeno, async () => {
  await libcHere();
  const { loadTrim } = await import("../../../src/runtime/deno/load_libc.ts");
  const trim = loadTrim();
  assert(trim);
  trim();
});

type Listen = (collector: BurstCollector, onSocket: (socket: Socket) => void) => Listener;

/** Asserts that the start and the end of a connection are counted, whichever side ends it. */
async function counted(listen: Listen): Promise<void> {
  for (const ends of ["client", "server"]) {
    const one = made();
    const both = Promise.withResolvers<void>();
    let count = 0;
    one.collector.count = () => ++count === 2 && both.resolve();
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const listener = listen(one.collector, resolve);
    assertStrictEquals(one.watching, 1);
    const client = await dial(listener.port);
    client.resume();
    const socket = await within(promise, "connection");
    assertStrictEquals(count, 1);
    if (ends === "server") socket.destroy();
    else {
      socket.take({ end: () => socket.end() });
      socket.resume();
    }
    client.end();
    await within(both.promise, "end");
    client.destroy();
    listener.close();
  }
}

test("Deno.listen: connections are counted", onDeno, async () => {
  const { listenHere } = await import("../../../src/runtime/deno/listen.ts");
  const where = { ip: "127.0.0.1", port: 0, backlog: 8 };
  await counted((collector, onSocket) => listenHere(where, collector, onSocket));
});

test("a listening descriptor: connections are counted", onDeno, async () => {
  const { listenDescriptor } = await import("../../../src/runtime/deno/listen.ts");
  const libc = await libcHere();
  const where = { ip: "127.0.0.1", port: 0, backlog: 8, v6only: false } as const;
  await counted((collector, onSocket) => {
    const { fd } = libc.listenSocket(where);
    return listenDescriptor(libc, { fd, backlog: 8, burstCollector: collector }, onSocket);
  });
});
