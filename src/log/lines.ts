/** A line of the log, as text or JSON, and the lines that the log writes about itself. */

import { grouped } from "./fields.ts";

export type LogLevel = "fatal" | "error" | "warning" | "info" | "usage";

export interface LogLine {
  /** Printed before the text. Lines of a connection that is served have none, and are `info` in
   *  JSON. */
  readonly level?: LogLevel;
  /** The beginning of the line, if it is not the log's own name. */
  readonly name?: string;
  readonly text: string;
  /** The fields of the line in JSON. */
  readonly facts: () => Record<string, unknown>;
}

/** `name: level: text` */
export function textLine({ level, text, name: own }: LogLine, name: string): string {
  return `${own ?? name}: ${level === undefined ? "" : `${level}: `}${text}\n`;
}

/** `{"time":…,"level":…}` */
export function jsonLine({ level, facts }: LogLine, time: Date): string {
  return `${JSON.stringify({ time: time.toISOString(), level: level ?? "info", ...facts() })}\n`;
}

/** Returns the line that stands for the lines left out in a flood. `last` is the last of them. */
export function repeatedLine(last: LogLine, count: number, seconds: number): LogLine {
  const level = last.level ?? "info";
  const message = `... and ${grouped(count)} more like it in ${seconds} s`;
  return {
    level,
    text: `${message}: ${last.text}`,
    facts: () => ({
      event: "repeated",
      count,
      seconds,
      message,
      last: { level, ...last.facts() },
    }),
  };
}

/** Returns the line that reports lost lines: the reader of the log was too slow. */
export function linesLost(count: number): LogLine {
  const message = `${grouped(count)} ${count === 1 ? "line" : "lines"} lost: the log is not read`;
  const facts = { event: "lost", lines: count, message };
  return { level: "warning", text: message, facts: () => facts };
}
