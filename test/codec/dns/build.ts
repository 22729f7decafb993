/** Builds valid and invalid DNS messages for tests. */

import { concat, fromLatin1 } from "../../../src/codec/bytes.ts";
import { encodeName } from "../../../src/codec/dns/name.ts";
import { ipBytes } from "../../../src/codec/dns/reverse.ts";

export const u16 = (n: number) => Uint8Array.of(n >> 8 & 0xff, n & 0xff);
export const u32 = (n: number) => concat([u16(n >>> 16), u16(n & 0xffff)]);

export const TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28 } as const;

/** A record. `owner` is a name, or bytes in place of the encoded name. */
export function record(
  owner: string | Uint8Array,
  type: number,
  data: Uint8Array,
  ttl = 60,
  length = data.length,
): Uint8Array {
  const name = typeof owner === "string" ? encodeName(owner) : owner;
  return concat([name, u16(type), u16(1), u32(ttl), u16(length), data]);
}

export const a = (owner: string, ip: string, ttl = 60) => {
  const bytes = ipBytes(ip) ?? new Uint8Array();
  return record(owner, bytes.length === 4 ? TYPES.A : TYPES.AAAA, bytes, ttl);
};
export const cname = (owner: string, target: string, ttl = 60) =>
  record(owner, TYPES.CNAME, encodeName(target), ttl);
export const ptr = (owner: string, target: string, ttl = 60) =>
  record(owner, TYPES.PTR, encodeName(target), ttl);
export const txt = (owner: string, text: string) =>
  record(owner, TYPES.TXT, concat([Uint8Array.of(text.length), fromLatin1(text)]));
export const soa = (owner: string, ttl: number, minimum: number) =>
  record(
    owner,
    TYPES.SOA,
    concat([encodeName("ns.test"), encodeName("root.test"), ...[1, 2, 3, 4, minimum].map(u32)]),
    ttl,
  );

export interface Parts {
  id?: number;
  /** The two flag bytes; 0x8180 is a plain answer. */
  flags?: number;
  question?: Uint8Array | undefined;
  answers?: Uint8Array[];
  authority?: Uint8Array[];
  /** Counts in the header that differ from the real ones. */
  counts?: { questions?: number; answers?: number };
}

export const question = (name: string, type: number, klass = 1) =>
  concat([encodeName(name), u16(type), u16(klass)]);

export function message(parts: Parts): Uint8Array<ArrayBuffer> {
  const { answers = [], authority = [], counts = {} } = parts;
  return concat([
    u16(parts.id ?? 0x1234),
    u16(parts.flags ?? 0x8180),
    u16(counts.questions ?? (parts.question === undefined ? 0 : 1)),
    u16(counts.answers ?? answers.length),
    u16(authority.length),
    u16(0),
    ...(parts.question === undefined ? [] : [parts.question]),
    ...answers,
    ...authority,
  ]);
}
