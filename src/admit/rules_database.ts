/** A rules file as a database: opened when it is needed, and again when it has changed. A failure
 *  stays until the file changes or a second has passed. */

import { CdbReader } from "../codec/cdb.ts";
import { reason } from "../errors.ts";
import { isDue } from "../files/reloading.ts";
import type { RulesFile, RulesSource } from "../files/rules_file.ts";

/** Files up to this many bytes are held in memory and checked completely, so that a flipped byte
 *  cannot hide a denial. Larger files (a block list of millions) are read in place. */
export const IN_MEMORY = 65_536;

/** An opened database: look-ups, and the file to close if it is not in memory. */
export interface OpenRules {
  readonly reader: CdbReader;
  readonly file?: RulesFile;
}

/** Reads and checks all of a small file, or opens a large one. Takes ownership of `file`. Throws
 *  DecodeError or the system's error. */
export function openRules(file: RulesFile): OpenRules {
  if (file.size > IN_MEMORY) {
    try {
      return { reader: new CdbReader((at, length) => file.readAt(at, length), file.size), file };
    } catch (thrown) {
      file.close();
      throw thrown;
    }
  }
  try {
    const bytes = file.readAt(0, file.size).slice();
    const reader = new CdbReader((at, length) => bytes.subarray(at, at + length), bytes.length);
    reader.verify();
    return { reader };
  } finally {
    file.close();
  }
}

/** The state of the file at the last check. */
export type DatabaseState =
  | { readonly is: "missing" }
  | { readonly is: "failed"; readonly why: string }
  | { readonly is: "open"; readonly stamp: string; readonly rules: OpenRules };

export class RulesDatabase {
  #state: DatabaseState | undefined;
  #checked = 0;

  /** `now`: milliseconds since any point in time. */
  constructor(readonly source: RulesSource, readonly now: () => number) {}

  /** Returns the database of the file as of now or of less than a second ago. Never throws. */
  current(): DatabaseState {
    const now = this.now();
    if (this.#state && !isDue(this.#checked, now)) return this.#state;
    this.#checked = now;
    try {
      const stamp = this.source.stamp();
      if (this.#state?.is === "open" && this.#state.stamp === stamp) return this.#state;
      this.close();
      return this.#state = this.#open();
    } catch (thrown) {
      this.close();
      return this.#state = { is: "failed", why: reason(thrown) };
    }
  }

  /** Makes the next look-up check the file. */
  expire(): void {
    this.#checked = -Infinity;
  }

  /** Closes the file. A later look-up would open it again. */
  close(): void {
    if (this.#state?.is === "open") this.#state.rules.file?.close();
    this.#state = undefined;
  }

  #open(): DatabaseState {
    const file = this.source.open();
    if (file === undefined) return { is: "missing" };
    return { is: "open", stamp: file.stamp, rules: openRules(file) };
  }
}
