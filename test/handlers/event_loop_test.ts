/** The watch of the event loop: one line when it was blocked, none otherwise. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { watchEventLoop } from "../../src/handlers/event_loop.ts";
import { until } from "../runtime/tools.ts";

test("a blocked event loop is logged once, with the time", async () => {
  const lines: string[] = [];
  let now = 0;
  let looks = 0;
  const stop = watchEventLoop({ error: (text) => void lines.push(text) }, () => {
    looks++;
    return now;
  });
  const next = async (): Promise<void> => {
    const before = looks;
    const alive = setInterval(() => {}, 50); // the watch alone does not keep the process alive
    await until(() => looks > before, "the next look");
    clearInterval(alive);
  };
  now += 1200; // the look is late by less than a second
  await next();
  assertEquals(lines, []);
  now += 2000;
  await next();
  now += 250;
  await next();
  stop();
  assertStrictEquals(lines.length, 1);
  assertStrictEquals(
    lines[0],
    "the event loop was blocked for 1.8 s: no connection was served meanwhile",
  );
});
