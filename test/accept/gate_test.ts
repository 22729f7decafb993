/** The admission policy with a clock that the test moves: which connections are accepted, and which are
 *  closed first. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat, fromLatin1 } from "../../src/codec/bytes.ts";
import { Connection } from "../../src/connection.ts";
import { Gate, type GateOptions } from "../../src/accept/gate.ts";
import { isHelloComplete } from "../../src/accept/hello.ts";
import { reasonWords } from "../../src/log/reasons.ts";
import { Slots } from "../../src/program/slots.ts";
import { DirectPrograms } from "../../src/program/programs.ts";
import type { Runtime, Socket } from "../../src/runtime/runtime.ts";

/** Bytes that have the record and message lengths of a complete ClientHello. */
const HELLO = concat([Uint8Array.of(22, 3, 1, 0, 8, 1, 0, 0, 4), new Uint8Array(4)]);

interface Stage {
  readonly gate: Gate;
  readonly slots: Slots;
  /** True if the listener was last told to accept. */
  accepting(): boolean;
  /** Makes a new connection with `unread` as the unread input of its socket. */
  come(unread?: Uint8Array): Connection;
  /** The connections that were closed, with reasons, in order. Waits one event loop turn first. */
  gone(): Promise<string[]>;
  pass(ms: number): void;
}

function stage({ pending, free = 40, ...more }: Partial<GateOptions> & { free?: number }): Stage {
  let now = 0;
  let accepting = true;
  const gone: string[] = [];
  const slots = new Slots(free, () => now);
  const programs = new DirectPrograms({} as Runtime, slots, [], {});
  const gate = new Gate({
    programs,
    pending: pending ?? 3,
    descriptors: Infinity,
    each: 3,
    pendingRoom: Infinity,
    concurrency: free,
    isHelloComplete,
    now: () => now,
    ...more,
  });
  gate.listener = {
    port: 0,
    crowded: false,
    pause: () => accepting = false,
    resume: () => accepting = true,
    close() {},
  };
  let count = 0;
  return {
    gate,
    slots,
    accepting: () => accepting,
    come(unread = new Uint8Array(0)) {
      const port = ++count;
      const address = { ip: "192.0.2.1", port };
      const socket = {
        local: address,
        remote: address,
        unread: () => unread,
        abort: () => void gone.push(`${port}: ${conn.givenUp && reasonWords(conn.givenUp)}`),
      } as unknown as Socket;
      const conn = new Connection(socket, undefined, undefined, [gate]);
      Object.assign(conn, { accepted: now });
      conn.enter("accepted");
      return conn;
    },
    async gone() {
      await new Promise((resolve) => setImmediate(resolve));
      return gone.splice(0);
    },
    pass: (ms) => void (now += ms),
  };
}

const SILENT = "too many connections are pending and this one was silent longest";
const TOOK = "too many connections are pending and this one took longest";

test("the oldest connection with an incomplete ClientHello is closed first", async () => {
  const { come, gone, gate } = stage({});
  come().enter("handshake");
  for (let i = 0; i < 5; i++) come();
  assertEquals(await gone(), [`2: ${SILENT}`, `3: ${SILENT}`, `4: ${SILENT}`]);
  assertStrictEquals(gate.pending, 3);
});

for (const [what, bytes] of [["one byte", 1], ["all but one byte", HELLO.length - 1]] as const) {
  test(`${what} of a ClientHello does not protect a connection, read or unread`, async () => {
    const { come, gone } = stage({});
    come(HELLO.subarray(0, bytes));
    come().earlyBytes = HELLO.subarray(0, bytes);
    for (let i = 0; i < 3; i++) come();
    assertEquals(await gone(), [`1: ${SILENT}`, `2: ${SILENT}`]);
  });
}

test("a ClientHello that lies unread in the socket counts", async () => {
  const { come, gone } = stage({});
  come(HELLO);
  come(HELLO.subarray(4)).earlyBytes = HELLO.subarray(0, 4);
  for (let i = 0; i < 3; i++) come();
  assertEquals(await gone(), [`3: ${SILENT}`, `4: ${SILENT}`]);
});

test("a ClientHello behind a PROXY header counts, and a part of the header does not", async () => {
  const { come, gone } = stage({});
  const header = fromLatin1("PROXY TCP4 192.0.2.9 192.0.2.1 1 2\r\n");
  for (const bytes of [concat([header, HELLO]), header.subarray(0, 20), header]) {
    come(bytes).awaitsHeader = true;
  }
  for (let i = 0; i < 2; i++) come();
  assertEquals(await gone(), [`2: ${SILENT}`, `3: ${SILENT}`]);
});

test("if the socket cannot be inspected, data of the same turn protects a connection", async () => {
  const { come, gone } = stage({ cannotPeek: true });
  const first = come();
  for (let i = 0; i < 3; i++) come();
  first.enter("handshake");
  assertEquals(await gone(), [`2: ${SILENT}`]);
});

test("the newest connection is not closed, even if it is the only silent one", async () => {
  const { come, gone } = stage({});
  for (const conn of [come(), come(), come()]) conn.enter("handshake");
  come();
  assertEquals(await gone(), [`1: ${TOOK}`]);
});

test("if all ClientHellos are complete, the one complete longest is closed", async () => {
  const { come, gone } = stage({});
  const all = [come(), come(), come()];
  for (const conn of all.toReversed()) conn.enter("handshake");
  come(HELLO);
  assertEquals(await gone(), [`3: ${TOOK}`]);
});

test("silent connections younger than a second are spared while a handshake is older", async () => {
  const { come, gone, pass, slots } = stage({});
  const first = come();
  pass(500);
  first.enter("handshake");
  pass(500);
  come();
  come();
  pass(499);
  come();
  assertEquals(await gone(), [`2: ${SILENT}`], "the ClientHello is half a second old");
  pass(1);
  come();
  assertEquals(await gone(), [`3: ${SILENT}`], "it waits for its slot");
  first.slot = slots.takeNow();
  come();
  assertEquals(await gone(), [`1: ${TOOK}`]);
  pass(1000);
  come();
  assertEquals(await gone(), [`4: ${SILENT}`], "silent ones first, as before");
});

test("a client with a round trip of 200 ms outlives 1,000 others at 4,000 a second", async () => {
  const { come, gone, pass } = stage({ pending: 1000 });
  for (let i = 0; i < 1000; i++) come();
  pass(5000);
  const honest = come();
  for (let ms = 0; ms < 200; ms++) {
    pass(1);
    for (let i = 0; i < 4; i++) come(HELLO.subarray(0, 1));
  }
  honest.enter("handshake");
  const evicted = await gone();
  assertStrictEquals(evicted.length, 801);
  assertStrictEquals(honest.givenUp, undefined);
});

test("silent connections take no slot; none is accepted while handshakes have them all", () => {
  const { come, accepting, slots, gate } = stage({ free: 2, pending: 100 });
  for (let i = 0; i < 50; i++) come();
  assert(accepting());
  const first = slots.takeNow();
  assert(accepting());
  slots.takeNow();
  assert(!accepting());
  first?.release();
  assert(accepting());
  slots.takeNow();
  gate.takeQueue();
  assert(accepting(), "before the listener closes the queue is emptied");
});

test("with -n a connection counts as complete from its admission until its program runs", async () => {
  const { come, gone, gate } = stage({ isHelloComplete: () => false });
  const first = come();
  first.enter("admission");
  first.enter("starting");
  for (let i = 0; i < 3; i++) come();
  assertEquals(await gone(), [`2: ${SILENT}`]);
  first.enter("conversing");
  assertStrictEquals(gate.pending, 2);
  first.enter("lingering");
  assertStrictEquals(gate.open, 3);
  first.enter("over");
  assertStrictEquals(gate.open, 2);
});

test("a connection whose program has ended needs one descriptor", () => {
  const { come, accepting } = stage({ descriptors: 9 });
  const all = [come(HELLO), come(HELLO), come(HELLO)];
  assert(!accepting());
  for (const conn of all.slice(0, 2)) conn.enter("lingering");
  assert(accepting());
});

test("a connection that has ended is not counted and cannot be closed again", async () => {
  const { come, gone, gate } = stage({});
  const first = come();
  const second = come();
  first.enter("handshake");
  first.enter("starting");
  second.enter("over");
  second.enter("over");
  for (let i = 0; i < 3; i++) come();
  assertEquals(await gone(), []);
  assertEquals([gate.pending, gate.open], [3, 4]);
});

for (
  const [what, options] of [
    ["descriptors are short", { descriptors: 9 }],
    ["pending connections have all of their descriptors", { pendingRoom: 3 }],
  ] as const
) {
  test(`while ${what} accepting pauses, and only clients silent for a second are closed`, async () => {
    const { come, gone, pass, accepting } = stage({ pending: 100, ...options });
    const first = come();
    first.enter("over");
    come();
    come(HELLO);
    assert(accepting());
    come();
    assert(!accepting());
    pass(999);
    first.enter("over"); // makes the gate check again
    assertEquals(await gone(), []);
    pass(1);
    first.enter("over");
    const why = "descriptors are running low and this one was silent longest";
    assertEquals(await gone(), [`2: ${why}`]);
    assert(accepting());
    come(HELLO);
    assertEquals(await gone(), [`4: ${why}`]);
    assert(accepting());
    come(HELLO);
    pass(60_000);
    first.enter("over");
    assertEquals(await gone(), []);
    assert(!accepting());
  });
}

test("a connection counts as open until its end, and is removed once", () => {
  const { come, gate } = stage({});
  const [first] = [come(), come()];
  assertStrictEquals(gate.open, 2);
  first.enter("finishing");
  assertStrictEquals(gate.open, 1);
  first.enter("over");
  assertStrictEquals(gate.open, 1);
  assert(!first.open);
});
