/** The findings about a configuration. `--check` prints all of them. A start makes only those that
 *  take little time and ask no other host. It stops at the first error, and logs warnings. */

import { FatalError, reason } from "../errors.ts";
import type { Log } from "../log.ts";

/** `ok`: checked, and good. `info`: good, and worth knowing. `warning`: works, but not as intended,
 *  or not for long. `error`: every connection fails, or the start does. */
export type Severity = "ok" | "info" | "warning" | "error";

export interface Finding {
  level: Severity;
  /** What was checked, and what is wrong with it. */
  text: string;
  /** What to do. */
  remedy?: string;
  /** True for an error with which a server can run. A start only warns of it. */
  tolerable?: true;
  /** The error that a start throws. */
  cause?: FatalError;
}

/** Maximum warnings that a start logs; a rules file can cause one per rule. */
const MAX_LOGGED = 30;

/** Remedy for an error that has none of its own. */
const READ_MANUAL = "see sslserver --man";
/** Remedy for a setting, or the file it names, if the message has none. */
export const READ_ENVIRONMENT =
  "correct the file or unset the variable; see sslserver --man sslserver-environment";

/** Collects findings; a duplicate counts once. */
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

  /** A mistake that only a change of the configuration can correct. It stops a start. */
  error(text: string, remedy: string): void {
    this.#put({ level: "error", text, remedy });
  }

  /** An error that does not stop a start, which logs a warning. Either the server serves all the
   *  same, or the error can end while the server runs: with time, with a new file mode or with a
   *  new file. */
  tolerable(text: string, remedy: string): void {
    this.#put({ level: "error", text, remedy, tolerable: true });
  }

  /** Does a part of the check. An error that would end a start becomes a finding, and the check
   *  goes on. */
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

  /** Handles the findings as a start does: logs warnings, and throws `FatalError` for the first
   *  error. */
  start(log: Pick<Log, "warning">): void {
    const warnings: Finding[] = [];
    for (const finding of this.list) {
      const { level, text, remedy, tolerable, cause } = finding;
      if (level === "error" && !tolerable) throw cause ?? new FatalError(text, undefined, remedy);
      if (level === "error" || level === "warning") warnings.push(finding);
    }
    for (const { text, remedy } of warnings.slice(0, MAX_LOGGED)) log.warning(text, remedy);
    const more = warnings.length - MAX_LOGGED;
    if (more > 0) log.warning(`${more} more warnings`, "sslserver --check shows all of them");
  }

  #put(finding: Finding): void {
    const same = ({ level, text }: Finding): boolean =>
      level === finding.level && text === finding.text;
    if (!this.list.some(same)) this.list.push(finding);
  }
}
