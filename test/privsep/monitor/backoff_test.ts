import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { backoff } from "../../../src/privsep/monitor/backoff.ts";

test("a worker that dies at once is started again later and later, up to ten seconds", () => {
  const clock = { ms: 0 };
  const { delay } = backoff(() => clock.ms);
  const waits = Array.from({ length: 10 }, () => {
    const wait = delay();
    clock.ms += wait;
    return wait;
  });
  assertEquals(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
});

test("a worker that served for half a second is replaced at once, and the delays start again", () => {
  const clock = { ms: 0 };
  const { began, delay } = backoff(() => clock.ms);
  for (let n = 0; n < 5; n++) delay();
  began();
  clock.ms += 500;
  assertStrictEquals(delay(), 0);
  assertStrictEquals(delay(), 100);
  began();
  clock.ms += 499;
  assertStrictEquals(delay(), 200);
  clock.ms += 10_000; // no new `began`: the time belongs to the worker before
  assertStrictEquals(delay(), 400);
});
