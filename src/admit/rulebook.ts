/** Decides from a rules file whether to admit a peer, and with which variables
 *  (docs/specification.md#access-rules). Every failure is a denial with a reason for the log: a
 *  rules file that cannot be read must not admit anyone. */

import { findRule, type RuleHit, ruleKind, type RulePeer } from "../codec/rules.ts";
import type { RuleVariables } from "../config/variables.ts";
import { reason } from "../errors.ts";
import type { RulesSource } from "../files/rules_file.ts";
import type { RuleKind } from "../reason.ts";
import { type OpenRules, RulesDatabase } from "./rules_database.ts";

/** The result of the rules for one peer. */
export interface RuleResult {
  readonly allow: boolean;
  /** Variables the rule sets. */
  readonly env: RuleVariables;
  /** The key of the rule that decided. It is a key in the file, so a peer cannot invent one.
   *  Absent if no rule applied or none could be read. */
  readonly rule?: Uint8Array;
  /** The kind of the key. With `allow: false` and no key: the kind that is denied by default. */
  readonly kind?: RuleKind;
  /** The command that runs in place of the program (s6's access rules): a path and its
   *  arguments. */
  readonly command?: readonly string[];
  /** Why the rules could not be evaluated; only with `allow: false`. */
  readonly error?: string;
}

/** Rules of any kind, as admission uses them. */
export interface Rules {
  /** The result for `peer`. Never throws or rejects. */
  evaluate(peer: RulePeer): RuleResult | Promise<RuleResult>;
  /** Makes the next evaluation check the file (after SIGHUP, or when a descriptor was handed
   *  over). */
  expire(): void;
}

export interface RuleBookOptions {
  /** -X: without a file there are no rules. Otherwise a missing file is a denial. */
  readonly allowMissing: boolean;
  /** Milliseconds since any point in time. */
  readonly now: () => number;
}

/** The rule for `peer` in an opened database. Throws DecodeError or the system's error. */
export function consult(rules: OpenRules, peer: RulePeer): RuleHit | undefined {
  return findRule(peer, (key) => rules.reader.find(key));
}

/** The rules of one -x or -y. Synchronous, so that one look-up never uses two versions of the
 *  file. */
export class RuleBook implements Rules {
  readonly #database: RulesDatabase;

  constructor(readonly source: RulesSource, readonly options: RuleBookOptions) {
    this.#database = new RulesDatabase(source, options.now);
  }

  evaluate(peer: RulePeer): RuleResult {
    const state = this.#database.current();
    if (state.is === "failed") return denial(`unable to read ${this.source.name}: ${state.why}`);
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
        kind: ruleKind(hit.key),
      };
    } catch (thrown) {
      return denial(`unable to read ${this.source.name}: ${reason(thrown)}`);
    }
  }

  expire(): void {
    this.#database.expire();
  }

  /** Closes the file. A later evaluation would open it again. */
  close(): void {
    this.#database.close();
  }
}

/** A denial because the rules could not be evaluated. */
export function denial(error: string): RuleResult {
  return { allow: false, env: new Map(), error };
}
