/** The idle limit, with a clock that the tests move. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { test, type TestContext } from "node:test";
import { IdleTimer, type Watched } from "../../src/program/idle.ts";

class TestWatch extends IdleTimer {
  time = 0;

  override now(): number {
    return this.time;
  }
}

/** An idle limit of 200 ms, and a function that advances the clock. */
function make(t: TestContext): { idle: TestWatch; pass(ms: number): void } {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => t.mock.timers.reset());
  const idle = new TestWatch(0.2);
  const pass = (ms: number): void => {
    for (let i = 0; i < ms; i++) {
      idle.time++;
      t.mock.timers.tick(1);
    }
  };
  return { idle, pass };
}

/** Something that is watched until it is found silent, and the times at which that happens. */
function watched(idle: IdleTimer): Watched & { told: number[] } {
  const told: number[] = [];
  const one = {
    last: idle.now(),
    told,
    timedOut(): void {
      told.push(idle.now());
      idle.forget(one);
    },
  };
  idle.add(one);
  return one;
}

test("each idle connection times out after the limit, at its own time", (t) => {
  const { idle, pass } = make(t);
  const first = watched(idle);
  pass(100);
  const second = watched(idle);
  pass(99);
  assertEquals(first.told, []);
  pass(500);
  assertEquals([first.told, second.told], [[200], [300]]);
});

test("connections that become idle one after the other time out together, at most 1 % late", (t) => {
  const { idle, pass } = make(t);
  const all = Array.from({ length: 3 }, () => {
    const one = watched(idle);
    pass(1);
    return one;
  });
  pass(500);
  assertEquals(all.map(({ told }) => told), [[200], [202], [202]]);
});

test("a connection with occasional traffic does not time out", (t) => {
  const { idle, pass } = make(t);
  const heard = watched(idle);
  const silent = watched(idle);
  for (let i = 0; i < 30; i++) {
    pass(20);
    heard.last = idle.now();
  }
  assertEquals([heard.told, silent.told], [[], [200]]);
  pass(199);
  assertEquals(heard.told, []);
  pass(3);
  assertStrictEquals(heard.told.length, 1);
});

test("a connection with traffic after its timeout times out again a limit later", (t) => {
  const { idle, pass } = make(t);
  const times: number[] = [];
  const one: Watched = {
    last: idle.now(),
    timedOut() {
      times.push(idle.now());
      if (times.length === 1) one.last = idle.now();
      else idle.forget(one);
    },
  };
  idle.add(one);
  pass(1000);
  assertEquals(times, [200, 400]);
});

test("a removed connection does not time out, and a later one has its whole limit", (t) => {
  const { idle, pass } = make(t);
  const gone = watched(idle);
  pass(150);
  idle.forget(gone);
  const later = watched(idle);
  pass(500);
  assertEquals([gone.told, later.told], [[], [350]]);
});

test("connections that come one after the other set the timer once", (t) => {
  const { idle, pass } = make(t);
  const set = t.mock.method(globalThis, "setTimeout");
  for (let i = 0; i < 5; i++) {
    idle.forget(watched(idle));
    pass(10);
  }
  assertStrictEquals(set.mock.callCount(), 1);
});
