/** Decides by s6's access rules whether to admit a client, with which variables, and which command
 *  runs in place of the program (docs/specification.md#s6-access-rules). A client that no rule
 *  allows is denied, and so is one whose rules cannot be evaluated. */

import { fromLatin1 } from "../codec/bytes.ts";
import { parseIp } from "../codec/ip.ts";
import type { RulePeer } from "../codec/rules.ts";
import { type AccessKey, accessPath, addressKeys, hostKeys } from "../codec/s6_rules.ts";
import type { Options } from "../config/options.ts";
import { reason } from "../errors.ts";
import type { FolderCalls } from "../files/held_folder.ts";
import { lookUp } from "../runtime/look_up.ts";
import { AccessCdb, AccessFolder, type AccessSource } from "./access_sources.ts";
import { denial, type RuleResult, type Rules } from "./rulebook.ts";

/** The two evaluations during admission: before and after the client's name is known. */
export interface AccessLooks {
  readonly early: Rules;
  readonly late: Rules;
}

export interface AccessRulesOptions {
  readonly source: AccessSource;
  /** False (-H): clients have no names, and a client that no rule for an address allows is
   *  denied. */
  readonly names: boolean;
  /** Returns the command for the line in `exec`. Throws if it cannot be run. */
  readonly command: (line: string) => readonly string[];
}

export class AccessRules {
  constructor(readonly o: AccessRulesOptions) {}

  /** Evaluates the rules for addresses. If none applies, and the client's name is still to be
   *  looked up, the result allows the client and has no `rule`. Never throws. */
  byAddress(ip: string): RuleResult {
    return this.#evaluate(() => addressKeys(parseIp(ip))) ??
      (this.o.names ? { allow: true, env: new Map() } : DEFAULT);
  }

  /** Evaluates the rules for host names. To be called if no rule for the address applies. Never
   *  throws. */
  byHost(host: string | undefined): RuleResult {
    if (host === undefined || !this.o.names) return DEFAULT;
    return this.#evaluate(() => hostKeys(host)) ?? DEFAULT;
  }

  /** Evaluates both, in this order. Never throws. */
  evaluate({ ip, host }: Pick<RulePeer, "ip" | "host">): RuleResult {
    const result = this.byAddress(ip);
    return result.allow && !result.rule ? this.byHost(host) : result;
  }

  get looks(): AccessLooks {
    const expire = (): void => this.o.source.expire();
    return {
      early: { evaluate: ({ ip }) => this.byAddress(ip), expire },
      late: { evaluate: ({ host }) => this.byHost(host), expire },
    };
  }

  expire(): void {
    this.o.source.expire();
  }

  #evaluate(keys: () => Iterable<AccessKey>): RuleResult | undefined {
    const { source, command } = this.o;
    try {
      return source.lookUp((find) => {
        for (const key of keys()) {
          const rule = find(key);
          if (!rule) continue;
          const path = accessPath(key);
          const hit = { rule: fromLatin1(path), kind: key.kind };
          if (rule.deny) return { allow: false, env: new Map(), ...hit };
          const env = new Map(rule.env);
          if (rule.exec === undefined) return { allow: true, env, ...hit };
          return { allow: true, env, ...hit, command: commandOf(path, rule.exec, command) };
        }
        return undefined;
      });
    } catch (thrown) {
      return denial(`unable to use access rules: ${reason(thrown)}`);
    }
  }
}

const DEFAULT: RuleResult = { allow: false, env: new Map(), kind: "any" };

function commandOf(
  path: string,
  line: string,
  command: AccessRulesOptions["command"],
): readonly string[] {
  try {
    return command(line);
  } catch (thrown) {
    throw new Error(`exec of ${path}: ${reason(thrown)}`);
  }
}

/** The command for a line of execline: `execlineb -c line`. Throws if execlineb is not in the
 *  server's $PATH. */
export function execlineCommand(line: string): readonly string[] {
  try {
    return [lookUp("execlineb"), "-c", line];
  } catch (thrown) {
    throw new Error(`execlineb: ${reason(thrown)} (Debian: execline)`);
  }
}

/** Used in place of `execlineCommand` when a handler serves. Always throws. */
export function refusedCommand(): never {
  throw new Error("a handler serves, and no command can run in its place");
}

/** The rules of --access-dir or --access-cdb. `now`: milliseconds since any point in time. */
export function makeAccessRules(
  { accessDir, accessCdb, remoteName, handler }: Pick<
    Options,
    "accessDir" | "accessCdb" | "remoteName" | "handler"
  >,
  libc: FolderCalls | undefined,
  now: () => number,
  command: AccessRulesOptions["command"] = handler ? refusedCommand : execlineCommand,
): AccessRules {
  const source = accessDir !== undefined
    ? new AccessFolder(accessDir, libc)
    : new AccessCdb(accessCdb ?? "", now);
  return new AccessRules({ source, names: remoteName, command });
}
