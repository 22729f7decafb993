/** Findings about s6's access rules (--access-dir, --access-cdb): every rule is read as for a
 *  client, and the variables that it sets are tried. */

import fs from "node:fs";
import { execlineCommand, refusedCommand } from "../admit/access_rules.ts";
import { readRule } from "../admit/access_sources.ts";
import { openRules } from "../admit/rules_database.ts";
import { latin1 } from "../codec/bytes.ts";
import { ipOrUndefined, maskIp } from "../codec/ip.ts";
import {
  accessPath,
  type AccessRule,
  addressKeys,
  decodeAccessRule,
  hostKeys,
} from "../codec/s6_rules.ts";
import type { Options } from "../config/options.ts";
import { reason } from "../errors.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { type HeldFolder, holdFolder } from "../files/held_folder.ts";
import { fsPath } from "../files/regular_file.ts";
import { PathRules } from "../files/rules_file.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { obstacle } from "./access.ts";
import type { RuleTrials } from "./rule_trials.ts";

const FOLDERS = ["ip4", "ip6", "reversedns"];

/** Checks the rules of the options, if there are any. start.ts has already reported a path that
 *  does not exist. */
export function checkAccessRules(
  { accessDir, accessCdb, remoteName, handler }: Options,
  { libc }: Pick<Runtime, "libc">,
  trials: RuleTrials,
): void {
  const path = accessDir ?? accessCdb;
  if (path === undefined || !fs.existsSync(fsPath(path))) return;
  const { findings, actors: { opener } } = trials;
  const name = `access rules ${path}`;
  const tally = new AccessTally(
    name,
    remoteName,
    handler ? refusedCommand : execlineCommand,
    trials,
  );
  try {
    if (accessDir === undefined) readFile(path, tally);
    else readFolder(holdFolder(path, libc), tally);
  } catch (error) {
    const remedy = accessDir === undefined
      ? `make it again: s6-accessrules-cdb-from-fs ${path} FOLDER`
      : `let the server read ${path}`;
    return findings.tolerable(
      `${name}: ${systemReason(error)}: every connection is denied`,
      remedy,
    );
  }
  const hidden = obstacle(path, opener, "read")?.text;
  if (hidden) {
    findings.tolerable(
      `${name}: ${hidden}: every connection is denied`,
      `let user ${opener.uid} read it`,
    );
  }
  tally.end();
}

function readFile(path: string, tally: AccessTally): void {
  const opened = new PathRules(path).open();
  if (!opened) throw new Error("no such file");
  const { reader, file } = openRules(opened);
  try {
    reader.verify();
    for (const { key, value } of reader.records()) {
      tally.add(latin1(key), () => decodeAccessRule(value));
    }
  } finally {
    file?.close();
  }
}

function readFolder(root: HeldFolder, tally: AccessTally): void {
  try {
    for (const name of shown(root)) {
      if (!FOLDERS.includes(name)) {
        tally.useless(name, "the folders with rules are ip4, ip6 and reversedns");
        continue;
      }
      const folder = root.folder(name);
      for (const entry of folder ? shown(folder) : []) {
        tally.add(`${name}/${entry}`, () => readEntry(folder?.folder(entry)));
      }
      folder?.close();
    }
  } finally {
    root.close();
  }
}

function shown(folder: HeldFolder): string[] {
  return folder.names().filter((name) => !name.startsWith("."));
}

function readEntry(folder: HeldFolder | undefined): AccessRule | undefined {
  try {
    if (folder?.state("allow") === "unreadable") throw new Error("allow cannot be read");
    return folder && readRule(folder);
  } finally {
    folder?.close();
  }
}

/** Counts rules and tests what they set. */
class AccessTally {
  #all = 0;
  #deny = 0;
  #hosts = 0;

  constructor(
    readonly name: string,
    readonly names: boolean,
    readonly command: (line: string) => unknown,
    readonly trials: RuleTrials,
  ) {}

  /** `read` returns the rule; undefined if there is none. */
  add(path: string, read: () => AccessRule | undefined): void {
    const { findings } = this.trials;
    const key = canonical(path);
    if (key !== path) {
      return this.useless(path, key === undefined ? "use names as s6 has them" : `name it ${key}`);
    }
    const where = `${this.name}: ${path}: `;
    try {
      const rule = read();
      if (!rule) return this.useless(path, "give it a file allow or deny");
      this.#all++;
      if (path.startsWith("reversedns/")) this.#hosts++;
      if (rule.deny) return void this.#deny++;
      if (rule.exec !== undefined) this.command(rule.exec);
      if (rule.env.length > 0) this.trials.try(where, new Map(rule.env));
    } catch (error) {
      findings.tolerable(
        `${where}${reason(error)}: nobody is allowed in by it`,
        "correct the rule",
      );
    }
  }

  /** Reports a rule that applies to no client. */
  useless(path: string, remedy: string): void {
    this.trials.findings.warning(`${this.name}: ${path}: no rule for any client`, remedy);
  }

  end(): void {
    const { findings } = this.trials;
    if (this.#all === this.#deny) {
      return findings.warning(
        `${this.name}: nobody is allowed in`,
        "add who may: ip4/192.0.2.0_24/allow",
      );
    }
    if (this.#hosts > 0 && !this.names) {
      findings.warning(`${this.name}: -H: rules in reversedns do nothing`, "leave out -H");
    }
    findings.ok(`${this.name}: ${this.#all} rules, ${this.#deny} of them deny`);
  }
}

/** Returns the path by which the rule at `path` is looked up: `path` itself or its correct
 *  spelling. Undefined: no look-up leads to it. */
function canonical(path: string): string | undefined {
  const [folder, name = "", ...more] = path.split("/");
  if (more.length > 0) return undefined;
  if (folder === "reversedns") {
    if (name === "@") return path;
    const [key] = hostKeys(name.toLowerCase());
    return key && accessPath(key);
  }
  const [, address = "", digits = ""] = /^(.*)_([0-9]{1,3})$/.exec(name) ?? [];
  const ip = ipOrUndefined(address);
  if (!ip || Number(digits) > 8 * ip.length) return undefined;
  for (const key of addressKeys(maskIp(ip, Number(digits)))) {
    if (key.folder === folder && key.name.endsWith(`_${Number(digits)}`)) return accessPath(key);
  }
  return undefined;
}
