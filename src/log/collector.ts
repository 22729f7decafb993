/** Collects the lines of the log and writes them together at the end of an event loop turn. Of lines
 *  that may come often, it prints the first few and counts the others. It knows no event: log.ts
 *  decides which lines are written and has their words, output.ts writes to stderr. */

import type { LineSink } from "../runtime/runtime.ts";
import { jsonLine, linesLost, type LogLine, repeatedLine, textLine } from "./lines.ts";
import { LogOutput, writeStderr } from "./output.ts";
import { Repeats, WINDOW } from "./repeats.ts";

/** The form of lines, and where they go. */
export interface LineOptions {
  /** `s6`: text, with s6's words for the lines about connections and programs. */
  form: "text" | "json" | "s6";
  /** Name at the beginning of each line. */
  name: string;
  /** Where lines go; default: `sink`. */
  write?: (lines: string) => void;
  /** Stderr, written without waiting. Without a sink each write waits until it is done; that is
   *  only permitted while no connection is served. */
  sink?: LineSink;
  now?: () => Date;
  /** Clock for durations, in milliseconds; default: the system's monotonic clock. */
  clock?: () => number;
}

export class LineCollector {
  /** Writes lines as they are. */
  readonly write: (lines: string) => void;
  readonly #output: LogOutput | undefined;
  readonly #repeats: Repeats<LogLine>;
  #lines: string[] = [];
  #summary: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly options: LineOptions) {
    const { write, sink } = options;
    const output = sink && new LogOutput(sink, (lost) => this.#format(linesLost(lost)));
    this.#output = output;
    this.write = write ?? (output ? (lines) => output.write(lines) : writeStderr);
    this.#repeats = new Repeats(options.clock ?? (() => performance.now()));
  }

  print(line: LogLine): void {
    if (this.#lines.length === 0) setImmediate(() => this.flush());
    this.#lines.push(this.#format(line));
  }

  /** Prints a line that may come often, or counts it. Lines of one event are of the same kind if the
   *  text `kind` differs only in numbers and addresses. */
  mayRepeat(event: string, kind: string, line: LogLine): void {
    if (this.#repeats.age >= WINDOW) this.#summarise();
    if (this.#repeats.note(event, kind, line)) return this.print(line);
    if (this.#summary !== undefined) return;
    this.#summary = setTimeout(() => this.#summarise(), WINDOW - this.#repeats.age);
    this.#summary.unref();
  }

  /** Bytes that stderr has not accepted yet. */
  get waiting(): number {
    return this.#output?.waiting ?? 0;
  }

  /** Writes the collected lines. Called at the end of an event loop turn, and before an exit. */
  flush(): void {
    if (this.#lines.length === 0) return;
    const lines = this.#lines.join("");
    this.#lines = [];
    this.write(lines);
  }

  /** Writes everything before an exit. A stderr that accepts nothing delays it only briefly. */
  async finish(): Promise<void> {
    this.#summarise();
    this.flush();
    await this.#output?.finish();
  }

  /** Drops what is not written yet. Returns what the process that takes over the log has to write
   *  first: a line about lost lines, or nothing. */
  giveUp(): string {
    return this.#output?.giveUp() ?? "";
  }

  #summarise(): void {
    clearTimeout(this.#summary);
    this.#summary = undefined;
    const seconds = Math.max(1, Math.round(this.#repeats.age / 1000));
    for (const { count, last } of this.#repeats.end()) {
      this.print(repeatedLine(last, count, seconds));
    }
  }

  #format(line: LogLine): string {
    const { form, name, now } = this.options;
    return form !== "json" ? textLine(line, name) : jsonLine(line, now?.() ?? new Date());
  }
}
