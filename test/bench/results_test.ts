/** The results of the benchmark: rounds by server, footnotes about columns, and the file that keeps them. */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import type { Tools } from "./prepare.ts";
import { counted, next, Results, roundsOf } from "./results.ts";
import type { Section } from "./sections.ts";
import type { Subject } from "./servers.ts";

const subject = (name: string, peer = false): Subject => (
  { name, version: "1", peer, at: () => ({ command: [] }) }
);
const [REF, OURS, PEER] = [subject("ref"), subject("ours"), subject("peer", true)];
const section = (title: string): Section => (
  { name: "conn", title, subjects: [REF, OURS, PEER], reference: "ref" }
);
const [CONN, IDLE] = [section("Connections"), section("Idle")];
const TOOLS = {} as Tools;

test("columns are in the order of the subjects, and each pass is a round", () => {
  const conn = new Results().begin(CONN);
  next(TOOLS, conn, OURS).figures["rate"] = 2;
  next(TOOLS, conn, REF).figures["rate"] = 1;
  next(TOOLS, conn, OURS);
  assertEquals([...roundsOf(conn)], [
    ["ref", [{ rate: 1 }]],
    ["ours", [{ rate: 2 }, {}]],
    ["peer", []],
  ]);
});

test("a footnote belongs to the columns that it is about, and is printed once", () => {
  const results = new Results();
  const [conn, idle] = [results.begin(CONN), results.begin(IDLE)];
  next(TOOLS, conn, REF).note("2 failed");
  next(TOOLS, conn, OURS).note("unable to start:\n it ended");
  next(TOOLS, idle, OURS).note("2 failed");
  next(TOOLS, idle, OURS).note("2 failed");
  const marks = [conn, idle].map((one) => [REF, OURS].map(({ name }) => results.marks(one, name)));
  assertEquals(marks, [["[^1]", "[^2]"], ["", "[^1]"]]);
  assertEquals(results.footnotes(), ["[^1]: 2 failed\n", "[^2]: unable to start: it ended\n"]);
});

test("a section tells its number of rounds, and that of other projects' servers", () => {
  const conn = new Results().begin(CONN);
  next(TOOLS, conn, PEER);
  assertEquals(counted(conn, "turn"), "1 turn");
  for (let turn = 0; turn < 3; turn++) next(TOOLS, conn, OURS);
  assertEquals(counted(conn, "turn"), "3 turns, servers of other projects 1");
});

test("a file keeps the sections of several runs, and a section that is measured again is replaced", () => {
  const folder = fs.mkdtempSync(join(tmpdir(), "results-"));
  try {
    const file = join(folder, "figures.json");
    const measure = (one: Section, rate: number, versions: readonly Subject[] = []): void => {
      const results = new Results(file);
      results.about(versions);
      const pass = next(TOOLS, results.begin(one), REF);
      pass.figures["rate"] = rate;
      pass.note(`note ${rate}`);
      results.save();
    };
    measure(CONN, 1, [REF]);
    measure(IDLE, 2, [OURS]);
    measure(CONN, 3);
    const kept = new Results(file);
    assertEquals(kept.versions, { ref: "1", ours: "1" });
    assertEquals(
      kept.sections.map((one) => [one.title, roundsOf(one).get("ref"), kept.marks(one, "ref")]),
      [["Connections", [{ rate: 3 }], "[^1]"], ["Idle", [{ rate: 2 }], "[^2]"]],
    );
    assertEquals(kept.footnotes(), ["[^1]: note 3\n", "[^2]: note 2\n"]);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
