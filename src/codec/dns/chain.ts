/** From the records of an answer to the data asked for, through CNAMEs (RFC 1034 3.6.2, 4.3.2).
 *  Pure: no I/O. Only records on the chain from the name that was asked count; whatever else a
 *  server slips into its answer is never looked at. */

import type { DnsQueryType, DnsRecord } from "./message.ts";

/** CNAMEs followed for one question, over all messages. Real chains have a few; a hostile zone
 *  can make them endless. */
export const MAX_CNAME_CHAIN = 16;

/** Where a chain stands: at `name`, after `seen` (the names before it). */
export interface CnameChain {
  name: string;
  seen: ReadonlySet<string>;
  /** Least TTL of the CNAMEs so far, in seconds. */
  ttl: number;
}

/** What the answer holds for the end of the chain: data (none: ask for `chain.name` next, or it
 *  has no such records), or a loop. */
export type CnameStep =
  | { kind: "data"; data: string[]; chain: CnameChain }
  | { kind: "end"; chain: CnameChain }
  | { kind: "loop" };

/** The chain that begins at the name asked for. */
export function startCnameChain(name: string): CnameChain {
  return { name, seen: new Set(), ttl: Infinity };
}

/** Follows `chain` through one answer's records, in whatever order they came. */
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
