import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError } from "../../../src/codec/bytes.ts";
import type { CountKind } from "../../../src/metrics/registry.ts";
import type { Totals } from "../../../src/privsep/counts.ts";
import type { MonitorMessage } from "../../../src/privsep/messages.ts";
import { Gathering } from "../../../src/privsep/monitor/gathering.ts";

const KINDS: CountKind[] = ["count", "sum", "state"];
const counts = (...numbers: number[]): Float64Array => Float64Array.from(numbers);

/** A worker that records the messages that it gets. */
class Fake {
  /** The ids of the rounds in which it was asked. */
  readonly asked: number[] = [];
  readonly totals: { id: number; totals: Totals }[] = [];
  /** Called for each message. */
  told = (): void => {};
  readonly channel = {
    send: (message: MonitorMessage): void => {
      if (message.kind === "GATHER") this.asked.push(message.id);
      else if (message.kind === "TOTALS") {
        const { kind: _, id, ...totals } = message;
        this.totals.push({ id, totals });
      }
      this.told();
    },
  };

  /** The counts of the last answer. */
  get sums(): number[] {
    return [...this.totals.at(-1)?.totals.counts ?? []];
  }
}

function gathering(count: number, timeouts = 60_000) {
  const workers = Array.from({ length: count }, () => new Fake());
  const serving = new Set(workers);
  const gathering = new Gathering<Fake>({
    kinds: KINDS,
    serving: () => serving,
    programs: () => 11,
    timeout: timeouts,
  });
  return { gathering, serving, workers: workers as [Fake, Fake, Fake] };
}

test("a scrape gets the sum of all workers, once the last has answered", () => {
  const { gathering: g, workers: [a, b, c] } = gathering(3);
  g.scrape(a, 5, counts(1, 0.5, 2));
  assertEquals([a.asked, b.asked, c.asked], [[], [1], [1]]);
  g.take(b, 1, counts(10, 0.25, 20));
  assertStrictEquals(a.totals.length, 0);
  g.take(c, 1, counts(100, 0, 200));
  assertEquals(a.totals, [{
    id: 5,
    totals: {
      counts: counts(111, 0.75, 222),
      workers: 3,
      programs: 11,
      silent: 0,
      ended: { signal: 0, breach: 0, exit: 0 },
    },
  }]);
});

test("a single worker is answered at once", () => {
  const { gathering: g, workers: [a] } = gathering(1);
  g.scrape(a, 1, counts(1, 2, 3));
  assertEquals(a.sums, [1, 2, 3]);
});

test("a silent worker contributes its last counts, and is counted as silent", async () => {
  const { gathering: g, workers: [a, b, c] } = gathering(3, 20);
  g.take(c, 0, counts(100, 0, 200));
  const answered = new Promise<void>((resolve) => a.told = resolve);
  g.scrape(a, 1, counts(1, 0.5, 2));
  g.take(b, 1, counts(10, 0.25, 20));
  await answered;
  assertEquals(a.sums, [111, 0.75, 22]);
  assertStrictEquals(a.totals[0]?.totals.silent, 1);
  g.take(c, 1, counts(101, 0, 201)); // too late: no worker is answered twice
  assertStrictEquals(a.totals.length, 1);
  g.scrape(a, 2, counts(1, 0.5, 2));
  g.take(c, 1, counts(102, 0, 202)); // still for the first round
  g.take(b, 2, counts(10, 0.25, 20));
  assertStrictEquals(a.totals.length, 1);
  g.take(c, 2, counts(103, 0, 203));
  assertEquals(a.sums, [114, 0.75, 225]);
  assertStrictEquals(a.totals[1]?.totals.silent, 1);
});

test("counters of workers that have ended stay, their states vanish", () => {
  const { gathering: g, serving, workers: [a, b, c] } = gathering(3);
  g.take(b, 0, counts(10, 0.25, 20));
  g.take(c, 0, counts(100, 0, 200));
  for (const [worker, end] of [[b, "signal"], [c, "breach"]] as const) {
    serving.delete(worker);
    g.gone(worker, end);
  }
  g.scrape(a, 1, counts(1, 0.5, 2));
  assertEquals(a.sums, [111, 0.75, 2]);
  assertStrictEquals(a.totals[0]?.totals.workers, 1);
  assertEquals(a.totals[0]?.totals.ended, { signal: 1, breach: 1, exit: 0 });
  // A successor begins at 0. That is no decrease, because it is another worker.
  const next = new Fake();
  serving.add(next);
  g.take(next, 0, counts(0, 0, 1));
  g.scrape(a, 2, counts(1, 0.5, 2));
  g.take(next, 2, counts(1, 0, 1));
  assertEquals(a.sums, [112, 0.75, 3]);
});

test("a worker that ends during a round is not waited for", () => {
  const { gathering: g, serving, workers: [a, b] } = gathering(2);
  g.take(b, 0, counts(10, 0.25, 20));
  g.scrape(a, 1, counts(1, 0.5, 2));
  serving.delete(b);
  g.gone(b, "exit");
  assertEquals(a.sums, [11, 0.75, 2]);
  assertEquals(a.totals[0]?.totals.ended, { signal: 0, breach: 0, exit: 1 });
});

test("if the worker that asked ends, its successor may ask", () => {
  const { gathering: g, serving, workers: [a, b] } = gathering(2);
  g.scrape(a, 1, counts(1, 0.5, 2));
  serving.delete(a);
  g.gone(a, "signal");
  g.take(b, 1, counts(10, 0.25, 20));
  assertStrictEquals(a.totals.length, 0);
  const next = new Fake();
  serving.add(next);
  g.scrape(next, 1, counts(0, 0, 0));
  g.take(b, 2, counts(10, 0.25, 20));
  assertEquals(next.sums, [11, 0.75, 20]);
});

test("sums do not depend on the order of addition", () => {
  const { gathering: g, serving, workers: [a, b, c] } = gathering(3);
  serving.clear();
  const scrape = (asker: Fake, id: number, own: number): number => {
    g.scrape(asker, id, counts(0, own, 0));
    return asker.sums[1] ?? 0;
  };
  g.take(b, 0, counts(0, 0.1, 0));
  g.take(c, 0, counts(0, 0.2, 0));
  assertStrictEquals(scrape(a, 1, 0.3), 0.1 + 0.2 + 0.3);
  for (const worker of [c, a, b]) g.gone(worker, "signal");
  assert(0.2 + 0.3 + 0.1 < 0.1 + 0.2 + 0.3);
  const next = new Fake();
  assertStrictEquals(scrape(next, 1, 0), 0.1 + 0.2 + 0.3);
  assertStrictEquals(scrape(next, 2, 1), 0.2 + 0.3 + 0.1 + 1);
});

test("no worker is answered after the end", () => {
  const { gathering: g, workers: [a, b] } = gathering(2);
  g.scrape(a, 1, counts(1, 0.5, 2));
  g.stop();
  g.take(b, 1, counts(10, 0.25, 20));
  assertStrictEquals(a.totals.length, 0);
});

test("a second scrape at once, an answer to no question and numbers that are none are refused", () => {
  const { gathering: g, workers: [a, b] } = gathering(2);
  assertThrows(() => g.take(b, 1, counts(0, 0, 0)), Error, /privsep: id: no round 1/);
  g.scrape(a, 1, counts(1, 0.5, 2));
  assertThrows(() => g.scrape(a, 2, counts(1, 0.5, 2)), Error, /privsep: scrape: another/);
  assertThrows(() => g.scrape(b, 1, counts(1, 0.5, 2)), DecodeError);
  for (const odd of [counts(NaN, 0, 0), counts(-1, 0, 0), counts(0, 0), counts(0, 0, 0, 0)]) {
    assertThrows(() => g.take(b, 1, odd), DecodeError);
  }
  g.take(b, 1, counts(10, 0.25, 20));
  assertEquals(a.sums, [11, 0.75, 22]); // none of the refused counts
  assertThrows(() => g.take(b, 0, counts(9, 0.25, 20)), Error, /privsep: counts: less than before/);
});
