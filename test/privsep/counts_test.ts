import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError } from "../../src/codec/bytes.ts";
import { countKinds } from "../../src/metrics/describe.ts";
import type { CountKind } from "../../src/metrics/registry.ts";
import { addCounts, checkCounts } from "../../src/privsep/counts.ts";

const KINDS: CountKind[] = ["count", "sum", "state"];

test("possible counts of a worker are accepted", () => {
  checkCounts(Float64Array.of(0, 0, 0), KINDS, undefined);
  checkCounts(Float64Array.of(5, 0.5, 1), KINDS, Float64Array.of(5, 0.25, 9));
  checkCounts(new Float64Array(3).fill(Number.MAX_SAFE_INTEGER), KINDS, undefined);
});

test("impossible counts are refused, with their position", () => {
  const odd = [NaN, Infinity, -Infinity, -1, -0, -1e-9, 2 ** 53, 1e300];
  for (const [i, kind] of KINDS.entries()) {
    for (const value of kind === "sum" ? odd : [...odd, 0.5]) {
      const counts = new Float64Array(3);
      counts[i] = value;
      assertStrictEquals(
        assertThrows(() => checkCounts(counts, KINDS, undefined), DecodeError).message,
        `privsep: counts: not a count at byte ${8 * i}`,
        `${kind} ${value}`,
      );
    }
  }
  for (const length of [0, 2, 4, 4000]) {
    assertStrictEquals(
      assertThrows(() => checkCounts(new Float64Array(length), KINDS, undefined), DecodeError)
        .message,
      `privsep: counts: ${length}, not 3 at byte 0`,
    );
  }
});

test("a counter must not decrease, but a state may", () => {
  const before = Float64Array.of(5, 0.5, 9);
  checkCounts(Float64Array.of(5, 0.5, 0), KINDS, before);
  for (const [i, counts] of [[0, [4, 0.5, 9]], [1, [5, 0.25, 9]]] as const) {
    assertStrictEquals(
      assertThrows(() => checkCounts(Float64Array.from(counts), KINDS, before), DecodeError)
        .message,
      `privsep: counts: less than before at byte ${8 * i}`,
    );
  }
});

test("states are added only where they are known", () => {
  const sums = Float64Array.of(1, 1, 1);
  addCounts(sums, Float64Array.of(2, 0.5, 3), KINDS, true);
  assertEquals([...sums], [3, 1.5, 4]);
  addCounts(sums, Float64Array.of(2, 0.5, 3), KINDS, false);
  assertEquals([...sums], [5, 2, 4]);
});

test("what a server counts fits the caps", () => {
  const kinds = countKinds();
  assert(kinds.length > 100 && kinds.length < 1000, String(kinds.length));
  assertStrictEquals(kinds.filter((kind) => kind === "state").length, 5);
  assertStrictEquals(kinds.filter((kind) => kind === "sum").length, 4);
});
