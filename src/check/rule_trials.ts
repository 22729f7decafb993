/** Tries what rules set: limits, TLS settings and the files that they name. A worker reads these
 *  when the first client of the rule connects, with its permissions and in its jail. */

import { parseLimit, parseRate } from "../admit/limits.ts";
import { holds, IDENTITY_VARIABLES, isForRules, type RuleVariables } from "../config/variables.ts";
import { reason } from "../errors.ts";
import { namedFiles } from "../files/files.ts";
import { inJail, obstacle } from "./access.ts";
import type { Findings } from "./finding.ts";
import { checkSpelling } from "./options.ts";
import type { Actors } from "./processes.ts";

/** Maximum different sets of variables that are tried; a file may hold millions of rules. */
const MAX_TRIED = 1000;

/** Makes the TLS settings of a connection with these variables of a rule. Throws if that fails. */
export type TryTls = (variables: RuleVariables) => void;

export class RuleTrials {
  readonly #tried = new Set<string>();

  /** Without `tryTls`, as at a start, no TLS settings are made. */
  constructor(
    readonly actors: Actors,
    readonly tryTls: TryTls | undefined,
    readonly findings: Findings,
  ) {}

  /** `where`: the beginning of each message. */
  try(where: string, variables: RuleVariables): void {
    const same = JSON.stringify([...variables]);
    if (this.#tried.size >= MAX_TRIED || this.#tried.has(same)) return;
    this.#tried.add(same);
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        const remedy = (error as { hint?: string }).hint ?? "correct the rule and compile it again";
        this.findings.tolerable(`${where}${reason(error)}`, remedy); // affects one rule's clients
      }
    };
    attempt(() => parseLimit("MAXCONIP", variables.get("MAXCONIP")));
    attempt(() => parseLimit("MAXCONNET", variables.get("MAXCONNET")));
    attempt(() => parseRate(variables.get("MAXCONRATE")));
    // In a jail, files of the rule may be different or missing. That finding explains more than the
    // TLS error that follows.
    const hidden = this.actors.worker.jail !== undefined && this.#hidden(where, variables);
    const before = this.findings.list.length;
    if (!hidden) attempt(() => this.tryTls?.(variables));
    if (!hidden && this.findings.list.length === before) this.#hidden(where, variables);
    checkSpelling(Object.fromEntries(variables), where, this.findings);
    for (const [name] of variables) {
      if (!(IDENTITY_VARIABLES as readonly string[]).includes(name)) continue;
      const remedy = "set it in the environment of the server";
      this.findings.warning(`${where}${name} does nothing in a rule`, remedy);
    }
  }

  /** Reports files of a rule that cannot be read when they are needed. Returns false if there are
   *  none. */
  #hidden(where: string, variables: RuleVariables): boolean {
    const { worker, handed, files } = this.actors;
    const before = this.findings.list.length;
    for (const [variable, value] of variables) {
      if (value === undefined) continue;
      const kind = isForRules(variable) ? holds(variable, value) : undefined;
      if (!kind) continue;
      for (const path of kind === "files" ? namedFiles(value, files) : [value]) {
        const why = handed.has(path) ? undefined : obstacle(path, worker, "read")?.text;
        if (!why) continue;
        const { jail, uid } = worker;
        this.findings.tolerable(
          `${where}${variable} ${path}: ${why}${
            jail === undefined ? "" : ` in ${jail} (SSL_CHROOT)`
          }`,
          jail === undefined
            ? `let user ${uid} read ${path}`
            : `put it at ${inJail(path, jail)}, for user ${uid} to read`,
        );
      }
    }
    return this.findings.list.length > before;
  }
}
