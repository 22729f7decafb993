/** The variables that rules set for a peer, as the monitor finds them in its own copy. */

import type { RuleBook } from "../../admit/rulebook.ts";
import { FatalError } from "../../errors.ts";
import { parseIp } from "../../codec/ip.ts";

/** The worker's word on the peer: an address, and perhaps a name and an ident answer. */
export interface NamedPeer {
  ip: string;
  host: string;
  info: string;
}

/** As `admit` does it: early rules that say something decide alone. Throws `FatalError` when the rules
 *  deny the peer: they have changed meanwhile, or the worker lies. */
export function programRules(
  { early, late }: { early: RuleBook | undefined; late: RuleBook | undefined },
  { ip, host, info }: NamedPeer,
): Map<string, string> {
  parseIp(ip);
  const variables = new Map<string, string>();
  const peer = {
    ip,
    ...(host ? { host: host.toLowerCase() } : {}),
    ...(info ? { info } : {}),
  };
  for (const [book, who] of [[early, { ip }], [late, peer]] as const) {
    if (!book) continue;
    const verdict = book.evaluate(who);
    if (!verdict.allow) throw new FatalError(verdict.error ?? "the rules deny this connection");
    for (const [name, value] of verdict.env) variables.set(name, value);
    if (book === early && verdict.rule !== "default") break;
  }
  return variables;
}
