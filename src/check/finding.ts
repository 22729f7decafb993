/** What `--check` has to say: one line per finding, with what to do about it. */

import { FatalError, reason } from "../errors.ts";

/** `ok`: looked at, and good. `info`: good, and worth knowing. `warning`: works, but not as meant, or
 *  not for long. `error`: the start would fail, or every connection. */
export type Level = "ok" | "info" | "warning" | "error";

export interface Finding {
  level: Level;
  /** What was looked at, and what is the matter. */
  text: string;
  /** What to do. */
  remedy?: string;
}

/** What to do about a message that does not tell. */
function usualRemedy(text: string): string {
  const name = /\$?\b([A-Z][A-Z_]{3,})\b/.exec(text)?.[1];
  return name === undefined
    ? "sslserver --man tells more"
    : `correct or unset ${name}; sslserver --man sslserver-environment tells more`;
}

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

  error(text: string, remedy: string): void {
    this.#put({ level: "error", text, remedy });
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
    const hint = error instanceof FatalError ? error.hint : undefined;
    this.error(text, hint ?? usualRemedy(text));
  }

  has(level: Level): boolean {
    return this.list.some((finding) => finding.level === level);
  }

  #put(finding: Finding): void {
    const same = ({ level, text }: Finding): boolean =>
      level === finding.level && text === finding.text;
    if (!this.list.some(same)) this.list.push(finding);
  }
}
