/** Which clients may linger, and for how long, with a clock that the test moves. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { Lingering, type LingeringClient } from "../../src/program/linger.ts";

/** A client in memory. */
class Client implements LingeringClient {
  outputDone = true;
  full = false;
  last = 0;
  /** `kept`: the client read everything in time; `lost`: it did not. */
  end: "kept" | "lost" | undefined;
  constructor(readonly lingering: Lingering, public waiting: number | undefined) {}
  unsent(): number | undefined {
    return this.waiting;
  }
  expire(taken: boolean): void {
    this.end = taken ? "kept" : "lost";
    this.lingering.forget(this);
  }
}

/** A clock that the test moves, and the clients that linger by it. */
function begin(concurrency = 40, limit = 3_600_000, room?: number) {
  let time = 1000;
  const lingering = new Lingering(concurrency, limit, () => time, room);
  const clients: Client[] = [];
  return {
    lingering,
    clients,
    add(waiting: number | undefined, more: Partial<Client> = {}): Client {
      const client = Object.assign(new Client(lingering, waiting), more);
      clients.push(client);
      lingering.add(client);
      return client;
    },
    /** Advances the clock second by second. */
    pass(seconds: number, each: () => void = () => {}): void {
      for (let second = 0; second < seconds; second++) {
        time += 1000;
        each();
        lingering.check();
      }
    },
    over(): void {
      for (const client of clients) lingering.forget(client);
      assertStrictEquals(lingering.size, 0);
    },
  };
}

test("a client that has read everything has ten seconds to close, and gets no reset", () => {
  const all = begin();
  const client = all.add(0);
  all.pass(9);
  assertStrictEquals(client.end, undefined);
  all.pass(1);
  assertStrictEquals(client.end, "kept");
  all.over();
});

test("the ten seconds begin when the client has read everything", () => {
  const all = begin();
  const client = all.add(5000);
  all.pass(20);
  client.waiting = 0;
  all.pass(10);
  assertStrictEquals(client.end, undefined);
  all.pass(1);
  assertStrictEquals(client.end, "kept");
  all.over();
});

test("a client that reads nothing has thirty seconds, even with a longer idle limit", () => {
  const all = begin();
  const client = all.add(100_000);
  all.pass(29);
  assertStrictEquals(client.end, undefined);
  all.pass(1);
  assertStrictEquals(client.end, "lost");
  all.over();
});

test("a shorter idle limit applies to a client that reads nothing", () => {
  const all = begin(40, 2000);
  const [stalled, done] = [all.add(100_000), all.add(0)];
  all.pass(2);
  assertEquals([stalled.end, done.end], ["lost", "kept"]);
  all.over();
});

test("a slow but steady reader keeps its connection", () => {
  const all = begin();
  const client = all.add(1_000_000);
  let second = 0;
  all.pass(600, () => {
    if (++second % 25 === 0) client.waiting = client.waiting! - 1;
  });
  assertStrictEquals(client.end, undefined);
  all.over();
});

test("a client without unread data is not slow while the output is open", () => {
  const all = begin();
  const [known, unknown] = [
    all.add(0, { outputDone: false }),
    all.add(undefined, { outputDone: false }),
  ];
  all.pass(600);
  assertEquals([known.end, unknown.end], [undefined, undefined]);
  known.waiting = 10;
  unknown.full = true;
  unknown.last = all.lingering.now();
  all.pass(31);
  assertEquals([known.end, unknown.end], ["lost", "lost"]);
  all.over();
});

test("if the system has no queue length, bytes passed to the system count as read", () => {
  const all = begin();
  const client = all.add(undefined);
  all.pass(20);
  client.last = all.lingering.now();
  all.pass(29);
  assertStrictEquals(client.end, undefined);
  all.pass(1);
  assertStrictEquals(client.end, "lost");
  all.over();
});

test("too many clients: those that have read everything are closed first, the oldest first", () => {
  const all = begin();
  const stalled = all.add(100);
  const done = [all.add(0), all.add(0)];
  for (let count = 0; count < 260; count++) all.add(100);
  assertEquals(done.map(({ end }) => end), ["kept", "kept"]);
  assert(all.lingering.size <= 256, `${all.lingering.size} linger`);
  assertStrictEquals(stalled.end, "lost");
  all.over();
});

test("too many clients: a steady reader stays longer than clients that read nothing", () => {
  const all = begin();
  const reader = all.add(1_000_000);
  for (let count = 0; count < 3000; count++) {
    all.add(100_000);
    if (count % 50 !== 0) continue;
    reader.waiting = reader.waiting! - 1;
    all.pass(1);
  }
  assertStrictEquals(reader.end, undefined);
  assert(all.lingering.size <= 256, `${all.lingering.size} linger`);
  all.over();
});

test("a large -c raises the limit of lingering clients", () => {
  const all = begin(1000);
  for (let count = 0; count < 1000; count++) all.add(1);
  assertStrictEquals(all.lingering.size, 1000);
  all.add(1);
  assert(all.lingering.size < 1000);
  all.over();
});

test("the unread bytes of all clients together are limited", () => {
  const all = begin();
  for (let count = 0; count < 100; count++) all.add(4 << 20);
  const bytes = all.clients.reduce((sum, { end }) => sum + (end ? 0 : 4 << 20), 0);
  assert(bytes <= 64 << 20, `${bytes} bytes`);
  assert(bytes > 32 << 20, `${bytes} bytes`);
  all.over();
});

test("the number of lingering clients is limited by descriptors", () => {
  const all = begin(1000, 3_600_000, 20);
  for (let i = 0; i < 20; i++) all.add(1);
  assertStrictEquals(all.lingering.size, 20);
  all.add(1);
  assert(all.lingering.size <= 20);
  assertStrictEquals(all.clients[0]?.end, "lost");
  all.over();
});
