/** s6's access rules, which only the monitor reads: a worker may be in a jail, and a descriptor of
 *  the folder would lead it out of there. A worker says which address and name a client has, and
 *  gets the verdict and the variables. The rules are evaluated again when a program starts, so that
 *  what runs, and with which variables, never comes from a worker. */

import type { AccessRules } from "../../admit/access_rules.ts";
import { DecodeError, latin1 } from "../../codec/bytes.ts";
import { parseIp } from "../../codec/ip.ts";
import type { RuleVariables } from "../../config/variables.ts";
import { FatalError } from "../../errors.ts";
import type { MessageOf } from "../messages.ts";
import type { NamedPeer } from "./rules_history.ts";
import type { Worker } from "./worker_handle.ts";

/** What rules say of a program. */
export interface RuledProgram {
  readonly variables: RuleVariables;
  /** What runs in place of the program; undefined: the program itself. */
  readonly command?: readonly string[] | undefined;
}

export class AccessRequests {
  /** `rules`: undefined without --access-dir and --access-cdb. */
  constructor(readonly rules: AccessRules | undefined) {}

  /** Answers RULES. Throws `DecodeError` for an invalid request. */
  answer(worker: Worker, { id, by, ip, host }: MessageOf<"RULES">): void {
    const { rules } = this;
    if (!rules) throw new DecodeError("privsep: rules: there are none at byte 0");
    parseIp(ip);
    const { allow, env, rule, kind, error } = by === "address"
      ? rules.byAddress(ip)
      : rules.byHost(host.toLowerCase());
    const verdict = {
      allow,
      env: [...env].map(([name, value]) => [name, value ?? null] as const),
      ...(rule ? { rule: latin1(rule) } : {}),
      ...(kind ? { kind } : {}),
      ...(error === undefined ? {} : { error }),
    };
    worker.channel.send({ kind: "RULED", id, verdict });
  }

  /** Returns what the rules say of the program of a peer; undefined if there are no such rules.
   *  Throws `FatalError` if they deny the peer: they have changed meanwhile, or the worker lies. */
  program({ ip, host }: NamedPeer): RuledProgram | undefined {
    const { rules } = this;
    if (!rules) return undefined;
    parseIp(ip);
    const { allow, env, command, error } = rules.evaluate({
      ip,
      ...(host ? { host: host.toLowerCase() } : {}),
    });
    if (!allow) throw new FatalError(error ?? "the rules deny this connection");
    return { variables: env, command };
  }
}
