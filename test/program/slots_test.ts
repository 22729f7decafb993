import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { type Slot, Slots } from "../../src/program/slots.ts";

const never = new AbortController().signal;

/** Takes a free slot. */
function taken(slots: Slots): Slot {
  const slot = slots.takeNow();
  assert(slot);
  return slot;
}

test("the number of slots is limited, and each is released once", async () => {
  const slots = new Slots(2);
  const first = taken(slots);
  taken(slots);
  assert(slots.full);
  assertStrictEquals(slots.takeNow(), undefined);
  const third = slots.take(never);
  assertStrictEquals(slots.waiting, 1);
  first.release();
  first.release();
  (await third).release();
  assertStrictEquals(slots.waiting, 0);
  assertStrictEquals(slots.remove(9), 1);
});

test("waiting requests are served in order, and cancelled ones are skipped", async () => {
  const slots = new Slots(1);
  const slot = taken(slots);
  const order: string[] = [];
  const gone = new AbortController();
  const waiting = ["a", "b", "c"].map(async (name) => {
    const mine = await slots.take(name === "b" ? gone.signal : never);
    order.push(name);
    mine.release();
  });
  gone.abort({ kind: "shut down" });
  await assertRejects(() => waiting[1] as Promise<void>, Error, /shut down/);
  slot.release();
  await Promise.all([waiting[0], waiting[2]]);
  assertEquals(order, ["a", "c"]);
  await assertRejects(() => slots.take(gone.signal), Error, /shut down/);
});

test("programs are counted from their start to their end", () => {
  const slots = new Slots(2);
  const slot = taken(slots);
  assertThrows(() => slot.run(), Error, /without a slot/);
  assertStrictEquals(slot.secure({ signal: never }), undefined);
  assertStrictEquals(slots.running, 0);
  slot.run();
  assertStrictEquals(slots.running, 1);
  slot.release();
  assertStrictEquals(slots.running, 0);
});

test("a change calls the handler", () => {
  const slots = new Slots(1);
  const seen: boolean[] = [];
  slots.onChange(() => seen.push(slots.full));
  taken(slots).release();
  assertEquals(seen, [true, false]);
});

test("while no slot is free, a handshake keeps its slot for a second, a program until its end", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => t.mock.timers.reset());
  let now = 0;
  const pass = (ms: number): void => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  const slots = new Slots(2, () => now);
  const program = taken(slots);
  program.secure({ signal: never });
  program.run();
  pass(500);
  const slow = taken(slots);
  const order: string[] = [];
  const next = slots.take(never).then((slot) => {
    order.push("next");
    return slot;
  });
  pass(999);
  await null;
  assertStrictEquals(slow.takenAway, false);
  pass(1);
  const second = await next;
  assertStrictEquals(slow.takenAway, true);
  // When it has completed its handshake, it gets the next free slot, before others that wait.
  const third = slots.take(never).then(() => order.push("third"));
  const kept = slow.secure({ signal: never })?.then(() => order.push("slow"));
  second.release();
  await kept;
  assertEquals(order, ["next", "slow"]);
  slow.run();
  assertStrictEquals(slots.running, 2);
  pass(5000);
  await null;
  assertEquals(order, ["next", "slow"]);
  slow.release();
  await third;
  // No handshake waits, but the slot stays free for the next one.
  program.release();
  pass(5000);
  assertStrictEquals(slots.full, false);
});

test("a handshake that loses its slot and fails gives nothing back", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => t.mock.timers.reset());
  let now = 0;
  const slots = new Slots(1, () => now);
  const slow = taken(slots);
  now = 1000;
  t.mock.timers.tick(1000);
  assertStrictEquals(slow.takenAway, true);
  slow.release();
  assertStrictEquals(slots.remove(9), 1);
});

test("no handshake loses its slot while slots are free", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => t.mock.timers.reset());
  let now = 0;
  const slots = new Slots(2, () => now);
  const slow = taken(slots);
  now = 60_000;
  t.mock.timers.tick(60_000);
  assertStrictEquals(slow.takenAway, false);
  const other = taken(slots);
  assertStrictEquals(slow.takenAway, false);
  now += 1000;
  t.mock.timers.tick(1000);
  assertEquals([slow.takenAway, other.takenAway], [true, true]);
});
