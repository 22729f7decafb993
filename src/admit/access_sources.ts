/** The sources of s6's access rules: a folder, or a cdb file compiled from such a folder. The
 *  folder is read at each look-up, so that a change applies at once. The cdb file is checked once a
 *  second. */

import type { CdbReader } from "../codec/cdb.ts";
import {
  type AccessKey,
  accessPath,
  type AccessRule,
  type AccessVariable,
  decodeAccessRule,
  decodeEnvFile,
  decodeExec,
  isAccessVariable,
  MAX_PART,
  MAX_VARIABLES,
} from "../codec/s6_rules.ts";
import { reason } from "../errors.ts";
import { type FolderCalls, type HeldFolder, holdFolder } from "../files/held_folder.ts";
import { PathRules } from "../files/rules_file.ts";
import { RulesDatabase } from "./rules_database.ts";

const ENCODER = new TextEncoder();

/** Returns the rule of a key; undefined: there is none. Throws an Error whose message begins with a
 *  path. */
export type FindAccessRule = (key: AccessKey) => AccessRule | undefined;

export interface AccessSource {
  /** Calls `use` once. All look-ups in it use the same version of the file, or the same opened
   *  folder. Throws what `use` throws, or an Error whose message begins with a path. */
  lookUp<T>(use: (find: FindAccessRule) => T): T;
  /** Makes the next look-up check the file. */
  expire(): void;
}

/** The folder `ip4`, `ip6` or `reversedns`; `held` is undefined if it does not exist. */
interface OpenedFolder {
  readonly held: HeldFolder | undefined;
  few?: ReadonlySet<string> | "many";
}

/** Rules in a folder. Without `libc` it is read by paths (files/held_folder.ts). */
export class AccessFolder implements AccessSource {
  constructor(readonly path: string, readonly libc: FolderCalls | undefined) {}

  lookUp<T>(use: (find: FindAccessRule) => T): T {
    const root = holdFolder(this.path, this.libc);
    const opened = new Map<AccessKey["folder"], OpenedFolder>();
    try {
      return use(({ folder, name }) => {
        let rules = opened.get(folder);
        if (!rules) opened.set(folder, rules = { held: root.folder(folder) });
        const { held } = rules;
        if (!held) return undefined;
        rules.few ??= held.few() ?? "many";
        // Most keys have no rule. Trying to open all of them would take a millisecond for IPv6.
        if (rules.few !== "many" && !rules.few.has(name)) return undefined;
        const rule = held.folder(name);
        try {
          return rule && readRule(rule);
        } finally {
          rule?.close();
        }
      });
    } finally {
      for (const { held } of opened.values()) held?.close();
      root.close();
    }
  }

  expire(): void {}
}

/** Reads the rule in a folder. A folder with neither `allow` nor `deny` has none. */
export function readRule(folder: HeldFolder): AccessRule | undefined {
  if (folder.state("allow") === "readable") {
    const env = folder.folder("env");
    try {
      return { deny: false, env: env ? readEnv(env) : [], exec: readExec(folder) };
    } finally {
      env?.close();
    }
  }
  return folder.state("deny") === "absent" ? undefined : { deny: true };
}

function readEnv(folder: HeldFolder): AccessVariable[] {
  const names = folder.names().filter((name) => !name.startsWith(".") && isAccessVariable(name));
  if (names.length > MAX_VARIABLES) {
    throw new Error(`${folder.path}: more than ${MAX_VARIABLES} variables`);
  }
  return names.map((name) => {
    const bytes = folder.read(name, MAX_PART + 1);
    if (!bytes) throw new Error(`${folder.path}/${name}: no such file`);
    return [name, decoding(`${folder.path}/${name}`, () => decodeEnvFile(bytes))];
  });
}

function readExec(folder: HeldFolder): string | undefined {
  const bytes = folder.read("exec", MAX_PART + 1);
  return bytes && decoding(`${folder.path}/exec`, () => decodeExec(bytes));
}

/** Rules in a cdb file. */
export class AccessCdb implements AccessSource {
  readonly #database: RulesDatabase;

  /** `now`: milliseconds since any point in time. */
  constructor(readonly path: string, now: () => number) {
    this.#database = new RulesDatabase(new PathRules(path), now);
  }

  lookUp<T>(use: (find: FindAccessRule) => T): T {
    const state = this.#database.current();
    if (state.is === "failed") throw new Error(`${this.path}: ${state.why}`);
    if (state.is === "missing") throw new Error(`${this.path}: no such file`);
    return use((key) => this.#find(state.rules.reader, key));
  }

  expire(): void {
    this.#database.expire();
  }

  #find(reader: CdbReader, key: AccessKey): AccessRule | undefined {
    const path = accessPath(key);
    return decoding(`${this.path}: ${path}`, () => {
      const value = reader.find(ENCODER.encode(path));
      return value && decodeAccessRule(value);
    });
  }
}

function decoding<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new Error(`${what}: ${reason(cause)}`, { cause });
  }
}
