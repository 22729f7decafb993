/** The plots of the benchmark: ticks, scales, labels, and a document without a script. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "node:test";
import { decades, type Plot, plot, spread, steps } from "./plot.ts";

const TICKS: [most: number, ticks: number[]][] = [
  [0, [0, 1]],
  [4.2, [0, 1, 2, 3, 4, 5]],
  [5, [0, 1, 2, 3, 4, 5]],
  [498, [0, 100, 200, 300, 400, 500]],
  [1234, [0, 500, 1000, 1500]],
];

test("ticks are multiples of 1, 2 or 5 and reach the largest value", () => {
  for (const [most, ticks] of TICKS) assertEquals(steps(most), ticks, `${most}`);
});

const DECADES: [values: number[], ticks: number[]][] = [
  [[5.4, 2400], [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]],
  [[20, 100], [20, 50, 100]],
  [[0.3, 0.4], [0.2, 0.5]],
];

test("logarithmic ticks enclose all values", () => {
  for (const [values, ticks] of DECADES) {
    assertEquals(decades(values).map((tick) => +tick.toPrecision(3)), ticks, `${values}`);
  }
});

const LABELS: [positions: number[], moved: number[]][] = [
  [[10, 50, 90], [10, 50, 90]],
  [[50, 53], [46.5, 56.5]],
  [[52, 53, 37], [47.5, 57.5, 37]], // in the order of their positions, not of their lines
  [[50, 53, 45], [49.333, 59.333, 39.333]], // the second pair makes the first one touch the third
  [[98, 99, 97], [90, 100, 80]], // none below the area
  [[-5, 1], [0, 10]],
];

test("labels keep their distance and their order", () => {
  for (const [positions, moved] of LABELS) {
    const found = spread(positions, 10, 0, 100).map((one) => Math.round(one * 1000) / 1000);
    assertEquals(found, moved, `${positions}`);
  }
});

const PLOT: Plot = {
  title: "Rate & <size>",
  x: "clients",
  y: "conn/s",
  ticks: [0, 1, 1000],
  lines: [
    { name: "ours", points: [[0, 0], [1, 500], [1000, 1000]], strong: true },
    { name: "a<b", points: [[0, 1000]] },
    { name: "none", points: [] },
  ],
};

test("a plot draws every line that has points, and names it", () => {
  const svg = plot(PLOT);
  assertMatch(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 760 420"/);
  assert(svg.includes('<path class="strong" stroke="#2f81f7" d="M64 364L64.5 206L600 48"/>'), svg);
  assertMatch(svg, /<text class="strong" [^>]*>ours<\/text>/);
  assertMatch(svg, />a&lt;b<\/text>/);
  assertMatch(svg, />Rate &amp; &lt;size><\/text>/);
  assertMatch(svg, />1,000<\/text>/);
  assert(!svg.includes("none<"), svg);
  assert(!/<script|href|url\(/.test(svg), svg);
});

test("even ticks have equal distances", () => {
  const svg = plot({ ...PLOT, even: true });
  assert(svg.includes('d="M64 364L332 206L600 48"'), svg);
});

test("a logarithmic axis has equal distances for equal factors", () => {
  const lines = [{ name: "a", points: [[0, 1], [1, 10], [1000, 100]] as const }];
  const svg = plot({ ...PLOT, even: true, logarithmic: true, lines });
  assert(svg.includes('d="M64 364L332 206L600 48"'), svg);
});

test("a line that ends early has a dotted leader to its label", () => {
  const lines = [{ name: "a", points: [[0, 1000], [1, 1000]] as const }];
  const svg = plot({ ...PLOT, even: true, lines });
  assert(svg.includes('<path stroke="#2f81f7" d="M64 48L332 48"/>'), svg);
  assert(svg.includes('<path class="leader" stroke="#2f81f7" d="M332 48L614 48H620"/>'), svg);
});

test("a plot is readable on a dark page", () => {
  assertMatch(plot(PLOT), /@media \(prefers-color-scheme: dark\) \{[^}]*fill: #e6edf3/);
});
