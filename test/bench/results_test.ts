/** The results of the benchmark: rounds by server, and footnotes about columns. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import type { Tools } from "./prepare.ts";
import { Results } from "./results.ts";
import type { Section } from "./sections.ts";
import type { Subject } from "./servers.ts";

const subject = (name: string): Subject => ({ name, version: "", at: () => ({ command: [] }) });
const [REF, OURS] = [subject("ref"), subject("ours")];
const section = (title: string): Section => (
  { name: "conn", title, subjects: [REF, OURS], reference: "ref" }
);
const [CONN, IDLE] = [section("Connections"), section("Idle")];
const TOOLS = {} as Tools;

test("columns are in the order of the subjects, and each pass is a round", () => {
  const results = new Results([CONN]);
  results.next(TOOLS, CONN, OURS).figures["rate"] = 2;
  results.next(TOOLS, CONN, REF).figures["rate"] = 1;
  results.next(TOOLS, CONN, OURS);
  assertEquals([...results.rounds(CONN)], [["ref", [{ rate: 1 }]], ["ours", [{ rate: 2 }, {}]]]);
});

test("a footnote belongs to the columns that it is about, and is printed once", () => {
  const results = new Results([CONN, IDLE]);
  results.next(TOOLS, CONN, REF).note("2 failed");
  results.next(TOOLS, CONN, OURS).note("unable to start:\n it ended");
  results.next(TOOLS, IDLE, OURS).note("2 failed");
  results.next(TOOLS, IDLE, OURS).note("2 failed");
  const marks = [CONN, IDLE].map((one) => [REF, OURS].map(({ name }) => results.marks(one, name)));
  assertEquals(marks, [["[^1]", "[^2]"], ["", "[^1]"]]);
  assertEquals(results.footnotes(), ["[^1]: 2 failed\n", "[^2]: unable to start: it ended\n"]);
});
