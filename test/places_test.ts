import assert from "node:assert/strict";
import { test } from "node:test";
import { Places } from "../src/places.ts";

const never = new AbortController().signal;

test("only so many places are taken, and each is given back once", async () => {
  const places = new Places(2);
  const first = await places.take(never);
  await places.take(never);
  assert.ok(places.full);
  const third = places.take(never);
  assert.equal(places.waiting, 1);
  first();
  first();
  await third;
  assert.equal(places.running, 2);
  assert.equal(places.waiting, 0);
});

test("who waits is served in order, and who gives up is passed over", async () => {
  const places = new Places(1);
  const giveBack = await places.take(never);
  const order: string[] = [];
  const gone = new AbortController();
  const waiting = ["a", "b", "c"].map(async (name) => {
    const give = await places.take(name === "b" ? gone.signal : never);
    order.push(name);
    give();
  });
  gone.abort("gone");
  await assert.rejects(waiting[1] as Promise<void>, /gone/);
  giveBack();
  await Promise.all([waiting[0], waiting[2]]);
  assert.deepEqual(order, ["a", "c"]);
  assert.equal(places.running, 0);
  await assert.rejects(places.take(gone.signal), /gone/);
});

test("changes are told", async () => {
  const places = new Places(1);
  const seen: boolean[] = [];
  places.onChange = () => seen.push(places.full);
  const giveBack = await places.take(never);
  giveBack();
  assert.equal(seen[0], true);
  assert.equal(seen.at(-1), false);
});
