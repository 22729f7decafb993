/** The report of --check: verdict, summary and findings as text, with colours and as JSON. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import type { Finding } from "../../src/check/finding.ts";
import { jsonReport, textReport } from "../../src/check/report.ts";

const summary = [{ about: "program", text: "cat" }, { about: "users", text: "root\x1b[2J" }];
const findings: readonly Finding[] = [
  { level: "ok", text: "port 1: free" },
  { level: "warning", text: "old\nerror: forged", remedy: "renew it" },
];

test("the text report has the verdict, the summary, and the findings", () => {
  assertEquals(
    textReport(summary, findings, false),
    "The server would work: 1 warning\n  program  cat\n  users    root?[2J\n\n" +
      "ok: port 1: free\nwarning: old?error: forged -- renew it\n",
  );
});

test("on a terminal the verdict and the levels have colours", () => {
  assertEquals(
    textReport([], findings, true),
    "\x1b[33mThe server would work: 1 warning\x1b[0m\n\n" +
      "\x1b[32mok\x1b[0m: port 1: free\n\x1b[33mwarning\x1b[0m: old?error: forged -- renew it\n",
  );
});

const error: Finding = { level: "error", text: "no key" };
const VERDICTS: readonly [readonly Finding[], string][] = [
  [[], "The server would work"],
  [[{ level: "ok", text: "a" }, { level: "info", text: "b" }], "The server would work"],
  [findings, "The server would work: 1 warning"],
  [[error], "The server would not work: 1 error"],
  [
    [error, { ...error, text: "no port" }, ...findings],
    "The server would not work: 2 errors, 1 warning",
  ],
];

for (const [list, verdict] of VERDICTS) {
  test(`${list.length} findings mean: ${verdict}`, () => {
    assertEquals(textReport([], list, false).split("\n")[0], verdict);
  });
}

test("the JSON report has one object per line, the summary first", () => {
  assertEquals(
    jsonReport(summary, findings).trimEnd().split("\n").map((line) => JSON.parse(line)),
    [
      {
        event: "summary",
        level: "warning",
        text: "The server would work: 1 warning",
        lines: summary,
      },
      { event: "check", level: "ok", text: "port 1: free" },
      { event: "check", level: "warning", text: "old\nerror: forged", remedy: "renew it" },
    ],
  );
});
