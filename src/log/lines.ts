/** A line of the log, in both forms, and the lines that the log has to say of itself. */

import { grouped } from "./fields.ts";

export type LogLevel = "fatal" | "error" | "warning" | "info" | "usage";

export interface LogLine {
  /** In front of the text. Lines of a connection that is served have none, and are `info` in JSON. */
  readonly level?: LogLevel;
  readonly text: string;
  /** For JSON. */
  readonly facts: () => Record<string, unknown>;
}

/** `name: level: text` */
export function textLine({ level, text }: LogLine, name: string): string {
  return `${name}: ${level === undefined ? "" : `${level}: `}${text}\n`;
}

/** `{"time":…,"level":…}` */
export function jsonLine({ level, facts }: LogLine, time: Date): string {
  return `${JSON.stringify({ time: time.toISOString(), level: level ?? "info", ...facts() })}\n`;
}

/** What a flood has left out; `last` is one of these lines. */
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

/** Lines that a reader of the log was too slow for. */
export function linesLost(count: number): LogLine {
  const message = `${grouped(count)} ${count === 1 ? "line" : "lines"} lost: the log is not read`;
  const facts = { event: "lost", lines: count, message };
  return { level: "warning", text: message, facts: () => facts };
}
