/** Decides from a rules file whether to admit a peer, and with which variables
 *  (docs/specification.md#access-rules). Opens the file, notices when it changes, finds the rule.
 *  Every failure is a denial with a reason for the log: a rules file that cannot be read must not
 *  admit anyone. */

import { CdbReader } from "../codec/cdb.ts";
import { findRule, type RuleHit, type RulePeer } from "../codec/rules.ts";
import type { RuleVariables } from "../config/variables.ts";
import { reason } from "../errors.ts";
import { isDue } from "../files/reloading.ts";
import type { RulesFile, RulesSource } from "../files/rules_file.ts";

/** Files up to this many bytes are held in memory and checked completely, so that a flipped byte
 *  cannot hide a denial. Larger files (a block list of millions) are read in place. */
export const IN_MEMORY = 65_536;

/** The result of the rules for one peer. */
export interface RuleResult {
  readonly allow: boolean;
  /** Variables the rule sets. */
  readonly env: RuleVariables;
  /** The key of the rule that decided. It is a key in the file, so a peer cannot invent one.
   *  Absent if no rule applied or none could be read. */
  readonly rule?: Uint8Array;
  /** Why the rules could not be evaluated; only with `allow: false`. */
  readonly error?: string;
}

export interface RuleBookOptions {
  /** -X: without a file there are no rules. Otherwise a missing file is a denial. */
  readonly allowMissing: boolean;
  /** Milliseconds since any point in time. */
  readonly now: () => number;
}

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

/** The rule for `peer` in an opened database. Throws DecodeError or the system's error. */
export function consult(rules: OpenRules, peer: RulePeer): RuleHit | undefined {
  return findRule(peer, (key) => rules.reader.find(key));
}

type State =
  | { readonly is: "missing" }
  | { readonly is: "failed"; readonly error: string }
  | { readonly is: "open"; readonly stamp: string; readonly rules: OpenRules };

/** The rules of one -x or -y. Synchronous, so that one look-up never uses two versions of the
 *  file. */
export class RuleBook {
  #state: State | undefined;
  #checked = 0;

  constructor(readonly source: RulesSource, readonly options: RuleBookOptions) {}

  /** The result for `peer`. Never throws. */
  evaluate(peer: RulePeer): RuleResult {
    const state = this.#current();
    if (state.is === "failed") return denial(state.error);
    if (state.is === "missing") {
      if (this.options.allowMissing) return { allow: true, env: new Map() };
      return denial(`unable to read ${this.source.name}: no such file`);
    }
    try {
      const hit = consult(state.rules, peer);
      if (!hit) return { allow: true, env: new Map() };
      return {
        allow: !hit.rule.deny,
        env: new Map(hit.rule.env),
        rule: hit.key,
      };
    } catch (thrown) {
      return denial(`unable to read ${this.source.name}: ${reason(thrown)}`);
    }
  }

  /** Makes the next evaluation check the file (after SIGHUP, or when a descriptor was handed
   *  over). */
  expire(): void {
    this.#checked = -Infinity;
  }

  /** Closes the file. A later evaluation would open it again. */
  close(): void {
    if (this.#state?.is === "open") this.#state.rules.file?.close();
    this.#state = undefined;
  }

  #current(): State {
    const now = this.options.now();
    if (this.#state && !isDue(this.#checked, now)) return this.#state;
    this.#checked = now;
    try {
      const stamp = this.source.stamp();
      if (this.#state?.is === "open" && this.#state.stamp === stamp) return this.#state;
      this.close();
      return this.#state = this.#open();
    } catch (thrown) {
      this.close();
      const error = `unable to read ${this.source.name}: ${reason(thrown)}`;
      return this.#state = { is: "failed", error };
    }
  }

  #open(): State {
    const file = this.source.open();
    if (file === undefined) return { is: "missing" };
    return { is: "open", stamp: file.stamp, rules: openRules(file) };
  }
}

function denial(error: string): RuleResult {
  return { allow: false, env: new Map(), error };
}
