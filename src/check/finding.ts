/** The findings about a configuration. `--check` prints all of them. A start looks at the same ones,
 *  without what takes time or asks other hosts: it stops at the first error, and logs the rest. */

import { FatalError, reason } from "../errors.ts";
import type { Log } from "../log.ts";

/** `ok`: looked at, and good. `info`: good, and worth knowing. `warning`: works, but not as meant, or
 *  not for long. `error`: every connection fails, or the start does. */
export type Severity = "ok" | "info" | "warning" | "error";

export interface Finding {
  level: Severity;
  /** What was looked at, and what is the matter. */
  text: string;
  /** What to do. */
  remedy?: string;
  /** An error with which a server can run: the start only warns of it. */
  passing?: true;
  /** What a start throws. */
  cause?: FatalError;
}

/** Warnings of a start; a rules file can cause one per rule. */
const MAX_SAID = 30;

/** What to do about an error that does not tell. */
const READ_MANUAL = "sslserver --man tells more";
/** What to do about a setting, or the file it names, when its message says no more than what is wrong. */
export const READ_ENVIRONMENT =
  "correct the file or unset the variable; sslserver --man sslserver-environment tells more";

/** Collects findings; the same one twice counts once. */
export class Findings {
  readonly list: Finding[] = [];

  ok(text: string): void {
    this.#put({ level: "ok", text });
  }

  info(text: string, remedy: string): void {
    this.#put({ level: "info", text, remedy });
  }

  warning(text: string, remedy: string): void {
    this.#put({ level: "warning", text, remedy });
  }

  /** A mistake that only an edit of the configuration ends. It stops a start. */
  error(text: string, remedy: string): void {
    this.#put({ level: "error", text, remedy });
  }

  /** It would not work as configured, but it serves, or a date, a file mode or a file put in place can end
   *  that while the server runs. A start goes on, with a warning. */
  passing(text: string, remedy: string): void {
    this.#put({ level: "error", text, remedy, passing: true });
  }

  /** Does a part of the check; what would end a start is a finding, and the check goes on. */
  attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.failure(error);
      return undefined;
    }
  }

  /** An error that would end a start. */
  failure(error: unknown): void {
    const text = reason(error);
    const cause = error instanceof FatalError ? error : undefined;
    const remedy = cause?.hint ?? READ_MANUAL;
    this.#put({ level: "error", text, remedy, ...(cause ? { cause } : {}) });
  }

  has(level: Severity): boolean {
    return this.list.some((finding) => finding.level === level);
  }

  /** What a start makes of the findings: warnings in the log. Throws `FatalError` for the first error. */
  start(log: Pick<Log, "warning">): void {
    const doubts: Finding[] = [];
    for (const finding of this.list) {
      const { level, text, remedy, passing, cause } = finding;
      if (level === "error" && !passing) throw cause ?? new FatalError(text, undefined, remedy);
      if (level === "error" || level === "warning") doubts.push(finding);
    }
    for (const { text, remedy } of doubts.slice(0, MAX_SAID)) log.warning(text, remedy);
    const more = doubts.length - MAX_SAID;
    if (more > 0) log.warning(`${more} more warnings`, "sslserver --check shows all of them");
  }

  #put(finding: Finding): void {
    const same = ({ level, text }: Finding): boolean =>
      level === finding.level && text === finding.text;
    if (!this.list.some(same)) this.list.push(finding);
  }
}
