import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { FatalError } from "../../src/errors.ts";
import { addressKey, parseIp } from "../../src/codec/ip.ts";
import { RateMemory } from "../../src/admit/rate.ts";
import {
  type ConnectionLimits,
  LocalLimiter,
  type LocalReservation,
  parseLimit,
  parseRate,
} from "../../src/admit/limits.ts";

const A = addressKey(parseIp("192.0.2.1"));
const B = addressKey(parseIp("2001:db8::1"));

/** Limits with a clock that the test moves. */
function setUp(programs = 40, rateAddresses?: number) {
  const clock = { ms: 1000 };
  const limiter = new LocalLimiter({
    programs,
    now: () => clock.ms,
    ...(rateAddresses === undefined ? {} : { rateAddresses }),
  });
  const take = (address: string, limits: ConnectionLimits = {}): LocalReservation => {
    const taken = limiter.take(address, limits);
    assert("release" in taken, JSON.stringify(taken));
    return taken;
  };
  return { clock, limiter, take };
}

test("MAXCONIP counts per address, and a released place can be taken again", () => {
  const { limiter, take } = setUp();
  const limits = { perAddress: 2 };
  const first = take(A, limits);
  take(A, limits);
  assertEquals(limiter.take(A, limits), { by: "address", count: 2 });
  assertStrictEquals(limiter.openConnections(A), 2, "a refused connection is not counted");
  take(B, limits);
  first.release();
  take(A, limits);
  assertEquals(limiter.take(A, limits), { by: "address", count: 2 });
});

test("MAXCONIP is capped at -c, and 0 means none", () => {
  const { limiter, take } = setUp(3);
  for (let i = 0; i < 3; i++) take(A, { perAddress: 100 });
  assertEquals(limiter.take(A, { perAddress: 100 }), { by: "address", count: 3 });
  for (let i = 0; i < 10; i++) take(A, { perAddress: 0 });
});

test("repeated calls of release have no effect", () => {
  const { limiter, take } = setUp();
  const [one, two] = [take(A), take(A)];
  one.release();
  one.release();
  assertStrictEquals(limiter.openConnections(A), 1);
  two.release();
  assertStrictEquals(limiter.openConnections(A), 0);
  assertStrictEquals(limiter.tracked, 0);
});

test("connections that arrive together do not refuse each other: the first n pass", () => {
  const { take } = setUp();
  const holds = Array.from({ length: 8 }, () => take(A));
  const verdicts = holds.reverse().map((hold) => hold.check({ perAddress: 5 }));
  assertEquals(verdicts.map((refusal) => refusal === undefined).reverse(), [
    ...[true, true, true, true, true],
    ...[false, false, false],
  ]);
});

test("MAXCONNET is shared by all addresses under one rule", () => {
  const { limiter, take } = setUp();
  const limits = { network: { key: "10.", count: 2 } };
  const first = take(A, limits);
  assertStrictEquals(first.check(limits), undefined, "asked twice, counted once");
  take(B, limits);
  assertEquals(limiter.take(B, limits), { by: "network", count: 2 });
  take(B, { network: { key: "11.", count: 1 } });
  first.release();
  take(B, limits);
});

test("a connection refused by its rule releases all counts when it closes", () => {
  const { limiter, take } = setUp();
  const hold = take(A);
  const other = take(B, { network: { key: "", count: 1 } });
  assertEquals(hold.check({ network: { key: "", count: 1 } }), { by: "network", count: 1 });
  hold.release();
  other.release();
  assertStrictEquals(limiter.tracked, 0);
  take(A, { network: { key: "", count: 1 } });
});

test("MAXCONRATE admits exactly n in any s seconds", () => {
  const { clock, limiter, take } = setUp();
  const limits = { rate: { count: 3, seconds: 10 } };
  for (const ms of [0, 4000, 9000]) {
    clock.ms = 1000 + ms;
    take(A, limits).release();
  }
  const admitted: number[] = [];
  for (clock.ms = 10_000; clock.ms < 40_000; clock.ms += 100) {
    const taken = limiter.take(A, limits);
    if ("release" in taken) admitted.push(clock.ms);
  }
  assertEquals(admitted, [11_000, 15_000, 20_000, 21_000, 25_000, 30_000, 31_000, 35_000]);
});

test("two rates on one connection count it once, and the tighter one decides", () => {
  const { take } = setUp();
  const wide = { rate: { count: 5, seconds: 60 } };
  const tight = { rate: { count: 2, seconds: 60 } };
  for (const expected of [undefined, undefined, "rate"]) {
    const hold = take(A, wide);
    assertStrictEquals(hold.check(tight)?.by, expected);
  }
});

test("a flood of addresses uses limited memory and refuses no other client", () => {
  const { clock, limiter, take } = setUp(40, 1000);
  const limits = { perAddress: 1, rate: { count: 1, seconds: 3600 } };
  for (let i = 0; i < 50_000; i++) {
    take(`flood ${i}`, limits).release();
    clock.ms++;
  }
  assert(limiter.tracked <= 1000, `${limiter.tracked}`);
  take(A, limits);
  assertEquals(limiter.take(A, { rate: limits.rate }), { by: "rate", count: 1 });
});

test("one address that connects for days keeps no more times than its rate needs", () => {
  const clock = { ms: 0 };
  const rates = new RateMemory(() => clock.ms, 10);
  for (let i = 0; i < 100_000; i++) {
    clock.ms += 100;
    assert(rates.allows(A, { count: 10, seconds: 1 }, false));
  }
  assert(rates.times <= 11, `${rates.times}`);
});

test("ended connections are forgotten while new ones arrive", () => {
  const { clock, limiter, take } = setUp();
  for (let i = 0; i < 100; i++) take(`old ${i}`, { rate: { count: 1, seconds: 1 } }).release();
  assertStrictEquals(limiter.tracked, 100);
  clock.ms += 5000;
  for (let i = 0; i < 100; i++) take(A, { rate: { count: 1000, seconds: 1 } }).release();
  assertStrictEquals(limiter.tracked, 1);
});

test("limits are read strictly: a text that is not a number is an error, not the absence of a limit", () => {
  assertStrictEquals(parseLimit("MAXCONIP", undefined), undefined);
  assertStrictEquals(parseLimit("MAXCONIP", ""), undefined);
  assertStrictEquals(parseLimit("MAXCONIP", "0"), 0);
  assertStrictEquals(parseLimit("MAXCONIP", "17"), 17);
  for (const text of ["-1", "x", "1x", " 1", "1.5", "1e3", "9".repeat(10)]) {
    assertThrows(() => parseLimit("MAXCONIP", text), FatalError, undefined, text);
  }
  assertEquals(parseRate("5/60"), { count: 5, seconds: 60 });
  assertStrictEquals(parseRate("0/60"), undefined);
  assertStrictEquals(parseRate(undefined), undefined);
  for (const text of ["5", "5/", "/5", "5/0", "-5/1", "10001/1", "5/86401", "5/6/7", "a/b"]) {
    assertThrows(() => parseRate(text), FatalError, undefined, text);
  }
});
