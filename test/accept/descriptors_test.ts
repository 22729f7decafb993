import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { divide, type Needs, wantedLimit } from "../../src/accept/descriptors.ts";
import { FatalError } from "../../src/errors.ts";
import type { Clock } from "../../src/dns/clock.ts";
import { QuestionSockets } from "../../src/dns/question_sockets.ts";

const NEEDS: Needs = {
  limit: 1024,
  open: 20,
  each: 3,
  programs: 40,
  pending: 1000,
  questions: 1016,
  metrics: 0,
};

const ROWS: [title: string, needs: Partial<Needs>, least: number, most: number][] = [
  ["a handler with 20,000 and no DNS", { limit: 20_000, each: 1, questions: 16 }, 19_900, 19_950],
  ["programs with 20,000 and DNS", { limit: 20_000 }, 18_900, 18_950],
  ["1,024", {}, 750, 850],
  ["256", { limit: 256 }, 150, 190],
  ["64", { limit: 64, open: 10 }, 28, 38],
];

test("the limit is divided: all parts together never exceed it", () => {
  for (const [title, changed, least, most] of ROWS) {
    const needs = { ...NEEDS, ...changed };
    const { connections, questions } = divide(needs);
    assert(connections >= least && connections <= most, `${title}: ${connections}`);
    assert(questions >= 1, title);
    assert(needs.open + connections + questions < needs.limit, title);
  }
});

test("pending connections, with the programs they may get, leave room for others", () => {
  for (const limit of [64, 256, 1024, 4096]) {
    for (const programs of [1, 40, 5000]) {
      for (const each of [1, 3, 7]) {
        const { connections, pending } = divide({ ...NEEDS, limit, open: 10, programs, each });
        const charged = pending + (each - 1) * Math.min(programs, pending);
        assert(charged <= Math.max(connections * 0.8, each), `${limit} ${programs} ${each}`);
      }
    }
  }
  assertStrictEquals(divide({ ...NEEDS, limit: 20_000 }).pending, 1000);
  assert(divide(NEEDS).pending > 500);
});

test("the wanted limit lowers only the number of questions, and is no larger than necessary", () => {
  for (const changed of [{}, { each: 1, questions: 16 }, { programs: 5000, each: 7 }]) {
    const needs = { ...NEEDS, ...changed };
    const enough = (limit: number): boolean => {
      const { pending, connections } = divide({ ...needs, limit });
      return pending === needs.pending &&
        connections >= needs.pending + needs.programs * needs.each;
    };
    const limit = wantedLimit(needs);
    assert(enough(limit));
    assert(!enough(Math.floor(limit * 0.98)));
  }
});

test("a limit that does not suffice for one connection is refused, with the remedy", () => {
  const tooFew = () => divide({ ...NEEDS, limit: 30 });
  const error = assertThrows(tooFew, FatalError, /30 open files are too few/);
  assertMatch(error.hint ?? "", /ulimit -n/);
});

test("if the limit is unknown, --pending and the number of questions do not change", () => {
  const { connections, questions, pending } = divide({ ...NEEDS, limit: Infinity });
  assertEquals({ connections, questions, pending }, {
    connections: Infinity,
    questions: 1016,
    pending: 1000,
  });
});

/** A clock that moves only by `forward`. */
class StoppedClock implements Clock {
  time = 0;
  readonly #timers = new Map<object, { at: number; due: () => void }>();

  now(): number {
    return this.time;
  }

  after(ms: number, due: () => void): () => void {
    const key = {};
    this.#timers.set(key, { at: this.time + ms, due });
    return () => void this.#timers.delete(key);
  }

  forward(ms: number): void {
    this.time += ms;
    for (const [key, { at, due }] of [...this.#timers]) {
      if (at > this.time || !this.#timers.delete(key)) continue;
      due();
    }
  }
}

test("a question without a descriptor waits for one, in order of asking", () => {
  const sockets = new QuestionSockets(2, new StoppedClock());
  const begun: string[] = [];
  const ask = (name: string) => sockets.take(() => void begun.push(name), () => {});
  const [a, , c] = ["a", "b", "c", "d"].map(ask);
  assertEquals(begun, ["a", "b"]);
  c?.(); // the third question is cancelled
  a?.();
  a?.();
  assertEquals(begun, ["a", "b", "d"]);
  assertStrictEquals(sockets.open, 2);
  assertStrictEquals(sockets.waiting, 0);
});

test("a question passes its descriptor to a waiting one after a second", () => {
  const clock = new StoppedClock();
  const sockets = new QuestionSockets(2, clock);
  const ended: string[] = [];
  const ask = (name: string): void => {
    const release = sockets.take(() => {}, () => {
      ended.push(name);
      release();
    });
  };
  ask("a");
  clock.forward(500);
  ask("b");
  clock.forward(20_000);
  assertEquals(ended, [], "nobody waits");
  ask("c");
  assertEquals(ended, ["a"]);
  ask("d");
  assertEquals(ended, ["a", "b"]);
  ask("e");
  clock.forward(999);
  assertEquals(ended, ["a", "b"]);
  clock.forward(1);
  assertEquals(ended, ["a", "b", "c"]);
  assertStrictEquals(sockets.open, 2);
});
