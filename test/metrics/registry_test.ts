import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { expose } from "../../src/metrics/exposition.ts";
import { Counter, Histogram, Registry } from "../../src/metrics/registry.ts";

test("a counter without labels counts", () => {
  const counter = new Counter();
  assertEquals(counter.samples(), [{ labels: [], value: 0 }]);
  counter.add();
  counter.add();
  assertEquals(counter.samples(), [{ labels: [], value: 2 }]);
});

test("every value of a single label is shown from the beginning", () => {
  const counter = new Counter(["outcome", ["ok", "denied"]]);
  counter.add("denied");
  assertEquals(counter.samples(), [
    { labels: [["outcome", "ok"]], value: 0 },
    { labels: [["outcome", "denied"]], value: 1 },
  ]);
});

test("each combination of labels has its own count", () => {
  const sets = [["a", "b"], ["c", "d", "e"], ["f", "g"]] as const;
  const counter = new Counter(["x", sets[0]], ["y", sets[1]], ["z", sets[2]]);
  assertEquals(counter.samples(), []);
  const wanted: unknown[] = [];
  for (const [i, x] of sets[0].entries()) {
    for (const [j, y] of sets[1].entries()) {
      for (const [k, z] of sets[2].entries()) {
        const value = 1 + i * 6 + j * 2 + k;
        for (let n = 0; n < value; n++) counter.add(x, y, z);
        wanted.push({ labels: [["x", x], ["y", y], ["z", z]], value });
      }
    }
  }
  assertEquals(counter.samples(), wanted);
});

test("a value outside a label's set counts as other", () => {
  const counter = new Counter(["version", ["TLSv1.3", "other"]], ["cipher", ["A", "other"]]);
  for (let i = 0; i < 1000; i++) counter.add(`TLSv${i}`, 'x"} 1\n');
  counter.add("TLSv1.3", "toString");
  counter.add("TLSv1.3");
  assertEquals(counter.samples(), [
    { labels: [["version", "TLSv1.3"], ["cipher", "other"]], value: 2 },
    { labels: [["version", "other"], ["cipher", "other"]], value: 1000 },
  ]);
});

test("without the label other, a value outside the set is not counted", () => {
  const counter = new Counter(["outcome", ["ok"]]);
  counter.add("__proto__");
  assertEquals(counter.samples(), [{ labels: [["outcome", "ok"]], value: 0 }]);
});

test("a label without values is a mistake", () => {
  assertThrows(() => new Counter(["a", []]), Error, /a label without values/);
});

test("a value at a bucket's end belongs to the bucket", () => {
  const rows: [number, number][] = [
    [-1, 0],
    [0, 0],
    [0.1, 0],
    [0.1000001, 1],
    [1, 1],
    [1.5, 2],
    [10, 2],
    [10.1, 3],
    [Infinity, 3],
  ];
  for (const [value, bucket] of rows) {
    const histogram = new Histogram([0.1, 1, 10]);
    histogram.observe(value);
    const counts = [0, 0, 0, 0];
    counts[bucket] = 1;
    assertEquals([...histogram.counts], counts, String(value));
    assertStrictEquals(histogram.sum, value);
  }
});

test("a value that is not a number does not change a histogram", () => {
  const histogram = new Histogram([1]);
  histogram.observe(NaN);
  assertEquals([[...histogram.counts], histogram.sum], [[0, 0], 0]);
});

test("bounds that do not ascend are a mistake", () => {
  for (const bounds of [[1, 1], [2, 1], [NaN], [1, NaN], [1, Infinity], [Infinity]]) {
    assertThrows(
      () => new Histogram(bounds),
      Error,
      /bounds must be finite and ascend/,
      String(bounds),
    );
  }
  const empty = new Histogram([]);
  empty.observe(5);
  assertEquals([...empty.counts], [1]);
});

test("a registry shows its families in the order in which they were made, as they are now", () => {
  const registry = new Registry();
  let running = 1;
  const counter = registry.counter("a_total", "A.", ["x", ["y"]]);
  registry.gauge("b", "B.", () => running);
  registry.counted("c_total", "C.", () => 7);
  registry.histogram("d_seconds", "D.", [1]).observe(0.5);
  counter.add("y");
  running = 2;
  assertStrictEquals(
    expose(registry.families()).replaceAll(/^#.*\n/gm, ""),
    'a_total{x="y"} 1\nb 2\nc_total 7\nd_seconds_bucket{le="1"} 1\nd_seconds_bucket{le="+Inf"} 1\n' +
      "d_seconds_sum 0.5\nd_seconds_count 1\n",
  );
  assertThrows(() => registry.gauge("b", "", () => 0), Error, /unable to add metric b: it exists/);
});

test("samples with the same labels are shown once, and never more than a thousand", () => {
  const registry = new Registry();
  registry.gauges("e", "", () => [
    { labels: [["file", "a"]], value: 1 },
    { labels: [["file", "a"]], value: 2 },
    { labels: [["file", "a"], ["name", "n"]], value: 3 },
  ]);
  const [family] = registry.families();
  assert(family?.type === "gauge");
  assertEquals(family.samples.map(({ value }) => value), [1, 3]);
  const many = new Registry();
  many.gauges(
    "e",
    "",
    () =>
      Array.from(
        { length: 5000 },
        (_, i) => ({ labels: [["file", String(i)]] as const, value: 1 }),
      ),
  );
  const [crowd] = many.families();
  assert(crowd?.type === "gauge");
  assertStrictEquals(crowd.samples.length, 1000);
});

/** A registry with one metric of each kind, and the state that it shows. */
function mixed(): { registry: Registry; state: { own: number; whole: number } } {
  const registry = new Registry();
  const state = { own: 3, whole: 8 };
  registry.counter("a_total", "A.", ["x", ["y", "z"]]).add("z");
  registry.gauge("b", "B.", () => state.whole);
  const histogram = registry.histogram("c_seconds", "C.", [1, 2]);
  histogram.observe(0.5);
  histogram.observe(3);
  registry.counted("d_total", "D.", () => 7);
  registry.sampled("e_total", "E.", () => [{ labels: [["x", "y"]], value: 9 }]);
  registry.state("f", "F.", () => state.own);
  return { registry, state };
}

test("what can be summed is numbers in a fixed order, with what each of them is", () => {
  const { registry, state } = mixed();
  assertEquals([...registry.counts()], [0, 1, 1, 0, 1, 3.5, 7, 3]);
  assertEquals(registry.kinds(), [
    ...["count", "count"],
    ...["count", "count", "count", "sum"],
    ...["count", "state"],
  ]);
  state.own = 4;
  assertStrictEquals(registry.counts().at(-1), 4);
});

test("a registry shows the given totals, and its own value of a metric that is not summed", () => {
  const { registry } = mixed();
  const given = Float64Array.of(10, 20, 1, 2, 3, 4.5, 50, 60);
  assertStrictEquals(
    expose(registry.families(given)).replaceAll(/^#.*\n/gm, ""),
    'a_total{x="y"} 10\na_total{x="z"} 20\nb 8\nc_seconds_bucket{le="1"} 1\n' +
      'c_seconds_bucket{le="2"} 3\nc_seconds_bucket{le="+Inf"} 6\nc_seconds_sum 4.5\n' +
      'c_seconds_count 6\nd_total 50\ne_total{x="y"} 9\nf 60\n',
  );
  assertEquals([...registry.counts()], [0, 1, 1, 0, 1, 3.5, 7, 3]);
});

test("given its own totals, a registry shows the same text", () => {
  const { registry } = mixed();
  assertStrictEquals(expose(registry.families(registry.counts())), expose(registry.families()));
});

test("combinations counted only by another worker are shown, too", () => {
  const registry = new Registry();
  registry.counter("a_total", "A.", ["x", ["1", "2"]], ["y", ["3", "4"]]);
  assertStrictEquals(
    expose(registry.families(Float64Array.of(0, 5, 0, 0))).split("\n").at(-2),
    'a_total{x="1",y="4"} 5',
  );
});
