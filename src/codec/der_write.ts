/** Encodes DER, as far as making a certificate needs it. Pure: no I/O.
 *  The values come from this program, never from a peer, so they are not checked. */

import { concat, fromLatin1 } from "./bytes.ts";
import { TAG } from "./der.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** An element with this identifier octet; its content is the parts in order. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const content = concat(parts);
  const length = content.length;
  if (length < 0x80) return concat([Uint8Array.of(tag, length), content]);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return concat([Uint8Array.of(tag, 0x80 | digits.length, ...digits), content]);
}

/** A SEQUENCE of these elements. */
export function sequence(...parts: readonly Uint8Array[]): Bytes {
  return element(TAG.sequence, ...parts);
}

/** A positive INTEGER from big-endian bytes; leading zeros are dropped, a sign byte is added. */
export function unsigned(bytes: Uint8Array): Bytes {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const digits = bytes.subarray(from);
  return element(TAG.integer, Uint8Array.of(...((digits[0] ?? 0) >= 0x80 ? [0] : [])), digits);
}

/** An OBJECT IDENTIFIER from dotted decimals. */
export function objectIdentifier(dotted: string): Bytes {
  const [top = 0n, second = 0n, ...rest] = dotted.split(".").map(BigInt);
  const bytes: number[] = [];
  for (const arc of [top * 40n + second, ...rest]) {
    const groups = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80);
    bytes.push(...groups);
  }
  return element(TAG.oid, Uint8Array.from(bytes));
}

/** A BIT STRING of these bytes, without the `unused` low bits of the last byte. */
export function bitString(bytes: Uint8Array, unused = 0): Bytes {
  return element(TAG.bitString, Uint8Array.of(unused), bytes);
}

/** A string of the type `tag`. The characters must be below U+0100. */
export function stringElement(tag: number, value: string): Bytes {
  return element(tag, fromLatin1(value));
}

/** A point in time (milliseconds since 1970) to the second: UTCTime up to 2049, GeneralizedTime
 *  from 2050 on (RFC 5280 4.1.2.5). */
export function time(ms: number): Bytes {
  const digits = new Date(ms).toISOString().replace(/\.\d+Z$/, "").replace(/\D/g, "");
  return digits < "2050"
    ? stringElement(TAG.utcTime, `${digits.slice(2)}Z`)
    : stringElement(TAG.generalizedTime, `${digits}Z`);
}
