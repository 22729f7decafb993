/** `--check`: prints the result: the verdict and the summary, then one line per finding. Text, with
 *  colours if stdout is a terminal, or JSON. */

import { printable } from "../codec/printable.ts";
import type { Finding, Severity } from "./finding.ts";
import type { SummaryLine } from "./summary.ts";

/** SGR parameters (ECMA-48 8.3.117): green, blue, yellow, red. */
const COLOUR = { ok: 32, info: 34, warning: 33, error: 31 } as const;

/** Returns the report as text for people. `coloured`: with escape sequences for a terminal. */
export function textReport(
  summary: readonly SummaryLine[],
  findings: readonly Finding[],
  coloured: boolean,
): string {
  const paint = (level: Severity, text: string): string =>
    coloured ? `\x1b[${COLOUR[level]}m${text}\x1b[0m` : text;
  const width = Math.max(...summary.map(({ about }) => about.length));
  return [
    paint(worst(findings), verdict(findings)),
    // Subjects of certificates and names of files are untrusted text.
    ...summary.map(({ about, text }) => `  ${about.padEnd(width)}  ${printable(text)}`),
    "",
    ...findings.map(({ level, text, remedy }) =>
      `${paint(level, level)}: ${printable(text + (remedy ? ` -- ${remedy}` : ""))}`
    ),
    "",
  ].join("\n");
}

/** Returns the report as JSON objects, one per line: the summary, then the findings. */
export function jsonReport(
  summary: readonly SummaryLine[],
  findings: readonly Finding[],
): string {
  const lines = [
    { event: "summary", level: worst(findings), text: verdict(findings), lines: summary },
    ...findings.map(({ level, text, remedy }) => ({ event: "check", level, text, remedy })),
  ];
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** Returns what the findings mean for a start. */
function verdict(findings: readonly Finding[]): string {
  const count = (level: Severity, noun: string): string[] => {
    const found = findings.filter((finding) => finding.level === level).length;
    return found === 0 ? [] : [`${found} ${noun}${found === 1 ? "" : "s"}`];
  };
  const counts = [...count("error", "error"), ...count("warning", "warning")].join(", ");
  const works = worst(findings) === "error" ? "The server would not work" : "The server would work";
  return counts === "" ? works : `${works}: ${counts}`;
}

function worst(findings: readonly Finding[]): "ok" | "warning" | "error" {
  const has = (level: Severity): boolean => findings.some((finding) => finding.level === level);
  return has("error") ? "error" : has("warning") ? "warning" : "ok";
}
