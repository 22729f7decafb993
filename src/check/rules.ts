/** Findings about the rules files of -x and -y, and about what their rules set. */

import fs from "node:fs";
import { IN_MEMORY, openRules } from "../admit/rules_database.ts";
import { decodeRule, ruleWords } from "../codec/rules.ts";
import type { Options } from "../config/options.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { PathRules } from "../files/rules_file.ts";
import { obstacle } from "./access.ts";
import type { Findings } from "./finding.ts";
import type { Actors } from "./processes.ts";
import { RuleTrials, type TryTls } from "./rule_trials.ts";

/** Checks that the file is a valid database, that it can be read when it is needed, and that its
 *  rules can be applied. `tryTls` makes the TLS settings of a rule, and throws if that fails.
 *  It is missing when a server starts. A large file is then only opened, because reading all of it
 *  takes time. */
export function checkRules(
  file: string,
  options: Options,
  actors: Actors,
  findings: Findings,
  tryTls?: TryTls,
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
      const rules = new Tally(name, new RuleTrials(actors, tryTls, findings), findings);
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

  constructor(
    readonly name: string,
    readonly trials: RuleTrials,
    readonly findings: Findings,
  ) {}

  add(key: Uint8Array, value: Uint8Array): void {
    this.#all++;
    const { deny, env } = decodeRule(value);
    if (deny) {
      this.#deny++;
      if (key.length === 0) this.#catchAllDenies = true;
    } else if (env.length > 0) this.trials.try(`${this.name}: ${ruleWords(key)}: `, new Map(env));
  }

  end(): void {
    if (this.#all > 0 && this.#all === this.#deny && this.#catchAllDenies) {
      this.findings.warning(
        `${this.name}: no client is allowed`,
        "add a rule that allows clients, such as 192.0.2.:allow",
      );
    } else this.findings.ok(`${this.name}: ${this.#all} rules, ${this.#deny} of them deny`);
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
