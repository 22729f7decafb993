/** The tables of the benchmark: medians, ratios within a round, footnotes. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { type Figures, format, median, table } from "./table.ts";

const lines = (text: string): string[] => text.trimEnd().split("\n").slice(2);

test("a cell is the median, and the median of the ratios of the same round", () => {
  const rounds = new Map<string, Figures[]>([
    ["ref", [{ rate: 100 }, { rate: 200 }, { rate: 400 }]],
    ["ours", [{ rate: 150 }, { rate: 200 }, { rate: 300 }]],
  ]);
  // The ratios are 1.5, 1 and 0.75.
  assertEquals(lines(table(rounds, "ref")), ["| rate | 200 | 200 (1.00) |"]);
});

test("a server with fewer rounds is compared with the rounds that it has", () => {
  const rounds = new Map<string, Figures[]>([
    ["ref", [{ rate: 100 }, { rate: 900 }]],
    ["peer", [{ rate: 50 }]],
  ]);
  assertEquals(lines(table(rounds, "ref")), ["| rate | 500 | 50.0 (0.50) |"]);
});

test("what is missing is a dash with its footnote, and other columns stay", () => {
  const rounds = new Map<string, Figures[]>([
    ["ref", [{ rate: 100, cpu: 2 }]],
    ["peer", [{ rate: 50 }]],
    ["none", []],
    ["odd", [{ rate: 10, cpu: 1 }]],
  ]);
  const marks = (server: string): string => server === "ref" ? "" : `[^${server}]`;
  assertEquals(table(rounds, "ref", marks).trimEnd().split("\n"), [
    "|  | ref | peer | none | odd[^odd] |",
    "| --- | ---: | ---: | ---: | ---: |",
    "| rate | 100 | 50.0 (0.50) | –[^none] | 10.0 (0.10) |",
    "| cpu | 2.00 | –[^peer] | –[^none] | 1.00 (0.50) |",
  ]);
});

test("a figure that is a ratio has no ratio", () => {
  const rounds = new Map<string, Figures[]>([
    ["ref", [{ "a / b": 2 }]],
    ["ours", [{ "a / b": 4 }]],
  ]);
  assertEquals(lines(table(rounds, "ref")), ["| a / b | 2.00 | 4.00 |"]);
});

test("from ten rounds on a ratio has its quartiles", () => {
  const of = (scale: (round: number) => number): Figures[] =>
    Array.from({ length: 11 }, (_, round) => ({ rate: scale(round) }));
  const rounds = new Map([["ref", of(() => 10)], ["ours", of((round) => 10 + round)]]);
  assertEquals(lines(table(rounds, "ref")), ["| rate | 10.0 | 15.0 (1.50, 1.30–1.80) |"]);
});

test("median ignores missing values", () => {
  assertEquals(median([]), undefined);
  assertEquals(median([undefined, 3, 1]), 2);
  assertEquals(median([5, undefined, 1, 2]), 2);
});

test("format keeps three digits", () => {
  assertEquals([0.123, 1, 12.34, 123.4, -0.001].map(format), [
    "0.12",
    "1.00",
    "12.3",
    "123",
    "0.00",
  ]);
});
