/** Follows the CNAMEs in an answer to the data asked for (RFC 1034 3.6.2, 4.3.2). Pure: no I/O.
 *  Only records on the chain that begins with the name asked for are used. Other records of the
 *  answer are ignored. */

import type { DnsQueryType, DnsRecord } from "./message.ts";

/** CNAMEs followed for one question, over all messages. Real chains have a few; a hostile zone
 *  can make them endless. */
export const MAX_CNAME_CHAIN = 16;

/** The state of a chain: `name` is its current end, `seen` are the names before it. */
export interface CnameChain {
  name: string;
  seen: ReadonlySet<string>;
  /** Lowest TTL of the CNAMEs so far, in seconds. */
  ttl: number;
}

/** The result of one answer. `data`: the records asked for. `end`: the answer has none for
 *  `chain.name`, which must be asked for next or has no such records. `loop`: the chain is
 *  endless or too long. */
export type CnameStep =
  | { kind: "data"; data: string[]; chain: CnameChain }
  | { kind: "end"; chain: CnameChain }
  | { kind: "loop" };

/** The chain that begins at the name asked for. */
export function startCnameChain(name: string): CnameChain {
  return { name, seen: new Set(), ttl: Infinity };
}

/** Follows `chain` through the records of one answer. Their order does not matter. */
export function followCnameChain(
  chain: CnameChain,
  type: DnsQueryType,
  records: readonly DnsRecord[],
): CnameStep {
  const byOwner = new Map<string, { data: string[]; ttl: number; alias?: DnsRecord }>();
  for (const record of records) {
    let owned = byOwner.get(record.name);
    if (owned === undefined) byOwner.set(record.name, owned = { data: [], ttl: Infinity });
    if (record.type === type) {
      owned.data.push(record.data);
      owned.ttl = Math.min(owned.ttl, record.ttl);
    } else if (record.type === "CNAME") {
      owned.alias ??= record;
    }
  }
  const seen = new Set(chain.seen);
  let { name, ttl } = chain;
  for (;;) {
    const owned = byOwner.get(name);
    if (owned !== undefined && owned.data.length > 0) {
      return {
        kind: "data",
        data: owned.data,
        chain: { name, seen, ttl: Math.min(ttl, owned.ttl) },
      };
    }
    if (owned?.alias === undefined) return { kind: "end", chain: { name, seen, ttl } };
    seen.add(name);
    if (seen.has(owned.alias.data) || seen.size > MAX_CNAME_CHAIN) return { kind: "loop" };
    ttl = Math.min(ttl, owned.alias.ttl);
    name = owned.alias.data;
  }
}
