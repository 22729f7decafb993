import assert from "node:assert/strict";
import { test } from "node:test";
import { type Place, Places } from "../../src/program/slots.ts";

const never = new AbortController().signal;

/** A place that is free. */
function taken(places: Places): Place {
  const place = places.takeNow();
  assert.ok(place);
  return place;
}

test("only so many places are taken, and each is given back once", async () => {
  const places = new Places(2);
  const first = taken(places);
  taken(places);
  assert.ok(places.full);
  assert.equal(places.takeNow(), undefined);
  const third = places.take(never);
  assert.equal(places.waiting, 1);
  first.giveBack();
  first.giveBack();
  (await third).giveBack();
  assert.equal(places.waiting, 0);
  assert.equal(places.remove(9), 1);
});

test("who waits is served in order, and who gives up is passed over", async () => {
  const places = new Places(1);
  const place = taken(places);
  const order: string[] = [];
  const gone = new AbortController();
  const waiting = ["a", "b", "c"].map(async (name) => {
    const mine = await places.take(name === "b" ? gone.signal : never);
    order.push(name);
    mine.giveBack();
  });
  gone.abort({ kind: "shut down" });
  await assert.rejects(waiting[1] as Promise<void>, /shut down/);
  place.giveBack();
  await Promise.all([waiting[0], waiting[2]]);
  assert.deepEqual(order, ["a", "c"]);
  await assert.rejects(places.take(gone.signal), /shut down/);
});

test("programs are counted from their start to their end", () => {
  const places = new Places(2);
  const place = taken(places);
  assert.throws(() => place.run(), /without a place/);
  assert.equal(place.keep(never), undefined);
  assert.equal(places.running, 0);
  place.run();
  assert.equal(places.running, 1);
  place.giveBack();
  assert.equal(places.running, 0);
});

test("changes are told", () => {
  const places = new Places(1);
  const seen: boolean[] = [];
  places.onChange(() => seen.push(places.full));
  taken(places).giveBack();
  assert.deepEqual(seen, [true, false]);
});

test("a handshake keeps its place for a second while no other is free, and a program for ever", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => t.mock.timers.reset());
  let now = 0;
  const pass = (ms: number): void => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  const places = new Places(2, () => now);
  const program = taken(places);
  program.keep(never);
  program.run();
  pass(500);
  const slow = taken(places);
  const order: string[] = [];
  const next = places.take(never).then((place) => {
    order.push("next");
    return place;
  });
  pass(999);
  await null;
  assert.equal(slow.lent, false);
  pass(1);
  const second = await next;
  assert.equal(slow.lent, true);
  // Done at last, it is the first of those who wait.
  const third = places.take(never).then(() => order.push("third"));
  const kept = slow.keep(never)?.then(() => order.push("slow"));
  second.giveBack();
  await kept;
  assert.deepEqual(order, ["next", "slow"]);
  slow.run();
  assert.equal(places.running, 2);
  pass(5000);
  await null;
  assert.deepEqual(order, ["next", "slow"]);
  slow.giveBack();
  await third;
  // Nobody waits, yet its place is free for whoever comes.
  program.giveBack();
  pass(5000);
  assert.equal(places.full, false);
});

test("a handshake that loses its place and fails gives nothing back", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => t.mock.timers.reset());
  let now = 0;
  const places = new Places(1, () => now);
  const slow = taken(places);
  now = 1000;
  t.mock.timers.tick(1000);
  assert.equal(slow.lent, true);
  slow.giveBack();
  assert.equal(places.remove(9), 1);
});

test("with places free nobody loses one", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => t.mock.timers.reset());
  let now = 0;
  const places = new Places(2, () => now);
  const slow = taken(places);
  now = 60_000;
  t.mock.timers.tick(60_000);
  assert.equal(slow.lent, false);
  const other = taken(places);
  assert.equal(slow.lent, false);
  now += 1000;
  t.mock.timers.tick(1000);
  assert.deepEqual([slow.lent, other.lent], [true, true]);
});
