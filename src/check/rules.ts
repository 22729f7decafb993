/** Findings about the rules files. A worker reads the certificates and limits of a rule when the
 *  first client of the rule connects, with the worker's permissions and in its jail. Only this
 *  check finds mistakes in them earlier. */

import fs from "node:fs";
import { parseLimit, parseRate } from "../admit/limits.ts";
import { IN_MEMORY, openRules } from "../admit/rulebook.ts";
import { decodeRule, ruleWords } from "../codec/rules.ts";
import type { Options } from "../config/options.ts";
import { holds, IDENTITY_VARIABLES, isForRules, type RuleVariables } from "../config/variables.ts";
import { reason } from "../errors.ts";
import { namedFiles, systemReason } from "../files/files.ts";
import { PathRules } from "../files/rules_file.ts";
import { inJail, obstacle } from "./access.ts";
import type { Findings } from "./finding.ts";
import { checkSpelling } from "./options.ts";
import type { Actors } from "./processes.ts";

/** Maximum different sets of variables that are tried; a file may hold millions of rules. */
const MAX_TRIED = 1000;

/** Checks that the file is a valid database, that it can be read when it is needed, and that its
 *  rules can be applied. `tryTls` makes the TLS settings of a rule, and throws if that fails.
 *  Without it, as at a start, a large file is only opened, because reading all of it takes time. */
export function checkRules(
  file: string,
  options: Options,
  actors: Actors,
  findings: Findings,
  tryTls?: (variables: RuleVariables) => void,
): void {
  const name = `rules ${file}`;
  const denied = "every connection is denied";
  const compile = `compile it from its source: tcprules ${file} ${file}.tmp <SOURCE`;
  try {
    const opened = new PathRules(file).open();
    if (!opened) {
      if (options.allowMissingRules) {
        return findings.ok(`${name}: does not exist, which -X allows`);
      }
      const remedy = `${compile}; or allow it with -X`;
      return findings.tolerable(`${name}: no such file: ${denied}`, remedy);
    }
    const size = opened.size;
    const { reader, file: large } = openRules(opened);
    try {
      if (size > IN_MEMORY) {
        if (!tryTls) return;
        reader.verify();
      }
      const rules = new Tally(name, actors, tryTls, findings);
      for (const { key, value } of reader.records()) rules.add(key, value);
      rules.end();
    } finally {
      large?.close();
    }
  } catch (error) {
    const text = `${name}: ${systemReason(error)}: ${denied}`;
    if (isForbidden(error)) return findings.tolerable(text, readable(file));
    findings.error(text, isEmpty(file) ? `it is empty: ${compile}` : compile);
    return;
  }
  const hidden = obstacle(file, actors.opener, "read")?.text;
  if (hidden) {
    findings.tolerable(`${name}: ${hidden}: ${denied}`, readable(file));
  }
  checkSource(file, findings);
}

const readable = (file: string): string => `chmod a+r ${file}, and a+x the folder`;

function isForbidden(error: unknown): boolean {
  const { code = "", name } = error as { code?: string; name?: string };
  return ["EACCES", "EPERM"].includes(code) || name === "NotCapable";
}

function isEmpty(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.size === 0;
}

/** Counts rules and tests what they set. */
class Tally {
  #all = 0;
  #deny = 0;
  #catchAllDenies = false;
  readonly #tried = new Set<string>();

  constructor(
    readonly name: string,
    readonly actors: Actors,
    readonly tryTls: ((variables: RuleVariables) => void) | undefined,
    readonly findings: Findings,
  ) {}

  add(key: Uint8Array, value: Uint8Array): void {
    this.#all++;
    const { deny, env } = decodeRule(value);
    if (deny) {
      this.#deny++;
      if (key.length === 0) this.#catchAllDenies = true;
    } else if (env.length > 0) this.#try(`${this.name}: ${ruleWords(key)}: `, new Map(env));
  }

  end(): void {
    if (this.#all > 0 && this.#all === this.#deny && this.#catchAllDenies) {
      this.findings.warning(`${this.name}: nobody is allowed in`, "add who may: 192.0.2.:allow");
    } else this.findings.ok(`${this.name}: ${this.#all} rules, ${this.#deny} of them deny`);
  }

  #try(where: string, variables: RuleVariables): void {
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

/** Warns if `tcp.smtp` was changed later than `tcp.smtp.cdb`: tcprules has not been run since. */
function checkSource(file: string, findings: Findings): void {
  const source = /^(.+)\.cdb$/.exec(file)?.[1];
  if (source === undefined) return;
  const [text, compiled] = [source, file].map((path) =>
    fs.statSync(path, { throwIfNoEntry: false })
  );
  if (!text?.isFile() || !compiled || text.mtimeMs <= compiled.mtimeMs) return;
  findings.warning(
    `rules ${file}: older than its source ${source}`,
    `tcprules ${file} ${file}.tmp <${source}`,
  );
}
