/** IP addresses and networks as text, bytes and rule keys. Pure: no I/O.
 *  The parser accepts only RFC 4291 2.2 and dotted decimal: no octal, no short forms, no zone ids.
 *  Otherwise two programs could read the same text as different addresses. */

import { DecodeError, latin1 } from "./bytes.ts";

/** Characters of the longest address, `0000:…:255.255.255.255`. A longer text is not parsed. */
const MAX_TEXT = 45;

/** Characters for the one bits of an IPv4 network key, by the bit's position
 *  (docs/specification.md#access-rules). */
const IP4_BITS = "abcdefghijklmnopqrstuvwxyz123456";

/** The first 12 bytes of an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2). */
const MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** An address: 4 bytes (IPv4) or 16 (IPv6), network order. */
export type Ip = Uint8Array<ArrayBuffer>;

/** All addresses whose first `prefix` bits are those of `ip`; the other bits of `ip` are zero. */
export interface Network {
  readonly ip: Ip;
  readonly prefix: number;
}

/** Reads `192.0.2.1`, `2001:db8::1` or `::ffff:192.0.2.1` (16 bytes: see `unmapIp`).
 *  Throws DecodeError for any other text, including one with a zone id (`%eth0`). */
export function parseIp(text: string): Ip {
  if (text.length > MAX_TEXT) {
    throw new DecodeError(`ip: address: longer than ${MAX_TEXT} characters at byte ${MAX_TEXT}`);
  }
  const zone = text.indexOf("%");
  if (zone >= 0) throw new DecodeError(`ip: address: zone id not allowed at byte ${zone}`);
  return text.includes(":") ? parseIp6(text) : parseIp4(text, 0);
}

/** As `parseIp`, but returns undefined if the text is not an address. */
export function ipOrUndefined(text: string): Ip | undefined {
  try {
    return parseIp(text);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function parseIp4(text: string, at: number): Ip {
  const octets = text.split(".");
  if (octets.length !== 4) {
    throw new DecodeError(`ip: address: not four octets at byte ${at}`);
  }
  for (const octet of octets) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255) {
      throw new DecodeError(`ip: octet: not a number from 0 to 255 at byte ${at}`);
    }
    at += octet.length + 1;
  }
  return Uint8Array.from(octets, Number);
}

function parseIp6(text: string): Ip {
  const gap = text.indexOf("::");
  if (gap < 0) {
    const bytes = parseGroups(text, 0, true);
    if (bytes.length !== 16) throw new DecodeError("ip: address: not eight groups at byte 0");
    return Uint8Array.from(bytes);
  }
  const second = text.indexOf("::", gap + 1);
  if (second >= 0) throw new DecodeError(`ip: address: second "::" at byte ${second}`);
  const head = gap === 0 ? [] : parseGroups(text.slice(0, gap), 0, false);
  const tail = gap + 2 === text.length ? [] : parseGroups(text.slice(gap + 2), gap + 2, true);
  if (head.length + tail.length > 14) {
    throw new DecodeError(`ip: address: "::" stands for nothing at byte ${gap}`);
  }
  const ip = new Uint8Array(16);
  ip.set(head);
  ip.set(tail, 16 - tail.length);
  return ip;
}

/** Returns the bytes of groups separated by single colons. With `last`, the last group may be
 *  dotted IPv4. */
function parseGroups(text: string, at: number, last: boolean): number[] {
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    if (last && i === groups.length - 1 && group.includes(".")) {
      bytes.push(...parseIp4(group, at));
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      throw new DecodeError(`ip: group: not one to four hex digits at byte ${at}`);
    }
    at += group.length + 1;
  }
  return bytes;
}

/** Returns the IPv4 address in an IPv4-mapped one, and any other address unchanged. */
export function unmapIp(ip: Ip): Ip {
  return ip.length === 16 && MAPPED.every((byte, i) => ip[i] === byte) ? ip.slice(12) : ip;
}

/** The eight 16-bit groups of an IPv6 address. */
function groupsOf(ip: Ip): number[] {
  const view = new DataView(ip.buffer, ip.byteOffset, ip.byteLength);
  return Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i));
}

/** Returns dotted decimal, or for IPv6 the canonical form of RFC 5952 (lower case, longest run of
 *  zeros as `::`, mapped addresses with a dotted tail). */
export function formatIp(ip: Ip): string {
  if (ip.length === 4) return ip.join(".");
  const v4 = unmapIp(ip);
  if (v4.length === 4) return `::ffff:${v4.join(".")}`;
  const groups = groupsOf(ip);
  let start = 0;
  let length = 1; // RFC 5952 4.2.2: a single zero group is not shortened
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (length === 1) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

/** Returns dotted decimal, or for IPv6 ucspi-tcp6's full form `2001:0DB8:0000:…:0001`, as in rule
 *  keys. */
export function formatIpFull(ip: Ip): string {
  if (ip.length === 4) return ip.join(".");
  return groupsOf(ip).map((group) => group.toString(16).toUpperCase().padStart(4, "0")).join(":");
}

/** Returns 16 characters that identify the address in counters. IPv4 gets its mapped form, so that
 *  a client has the same key on a dual-stack socket and on an IPv4 one. */
export function addressKey(ip: Ip): string {
  return ip.length === 16 ? latin1(ip) : latin1(MAPPED) + latin1(ip);
}

/** `ip` with the bits after `prefix` cleared. `prefix` is 0 to 8 × its length. */
export function maskIp(ip: Ip, prefix: number): Ip {
  return ip.map((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * i));
    return byte & (0xff00 >> bits);
  });
}

/** Reads `address/prefix`, or a bare address as a network of one address. Bits after the prefix are
 *  cleared. A network inside `::ffff:0:0/96` becomes the IPv4 network that it maps. Throws
 *  DecodeError. */
export function parseNetwork(text: string): Network {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  const width = 8 * ip.length;
  const digits = slash < 0 ? String(width) : text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(digits) || Number(digits) > width) {
    throw new DecodeError(`ip: prefix: not a number from 0 to ${width} at byte ${slash + 1}`);
  }
  const prefix = Number(digits);
  const v4 = unmapIp(ip);
  if (v4 !== ip && prefix >= 96) return { ip: maskIp(v4, prefix - 96), prefix: prefix - 96 };
  return { ip: maskIp(ip, prefix), prefix };
}

/** `10.0.0.0/8`, `2001:db8::/32`. */
export function formatNetwork(net: Network): string {
  return `${formatIp(net.ip)}/${net.prefix}`;
}

/** True if `ip` is in `net`. A mapped address is in IPv4 networks, not in IPv6 networks. */
export function inNetwork(ip: Ip, net: Network): boolean {
  const bare = unmapIp(ip);
  return bare.length === net.ip.length &&
    maskIp(bare, net.prefix).every((byte, i) => byte === net.ip[i]);
}

/** The rule key of a network (docs/specification.md#access-rules, ucspi-tcp6's form): `_` and a
 *  character per prefix bit for IPv4, `^` and a byte per prefix bit for IPv6. The result is bytes,
 *  because the IPv6 form numbers its one bits with bytes up to 0xDF. The key of a shorter prefix of
 *  the same address is a prefix of these bytes. */
export function networkKey(net: Network): Uint8Array<ArrayBuffer> {
  const v4 = net.ip.length === 4;
  const key = new Uint8Array(net.prefix + 1);
  key[0] = v4 ? 0x5f : 0x5e;
  let ones = 0;
  for (let bit = 0; bit < net.prefix; bit++) {
    const set = (net.ip[bit >> 3] ?? 0) & (0x80 >> (bit & 7));
    if (!set) key[bit + 1] = 0x30;
    else key[bit + 1] = v4 ? IP4_BITS.charCodeAt(bit) : 96 + ones++;
  }
  return key;
}

/** The inverse of `networkKey`. Undefined for any other key. */
export function networkOfKey(key: Uint8Array): Network | undefined {
  const width = key[0] === 0x5f ? 32 : key[0] === 0x5e ? 128 : 0;
  const prefix = key.length - 1;
  if (width === 0 || prefix > width) return undefined;
  const ip = new Uint8Array(width / 8);
  for (let bit = 0; bit < prefix; bit++) {
    if (key[bit + 1] !== 0x30) ip[bit >> 3] = (ip[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  const net = { ip, prefix };
  return networkKey(net).every((byte, i) => byte === key[i]) ? net : undefined;
}

/** Formats a network as tcprulescheck prints it. IPv4 has only the octets that the prefix reaches,
 *  with a dot after each of the first three (`10./8`, `172.16./12`, `192.0.2.1/32`). IPv6 is as in
 *  `formatNetwork`. */
export function ruleNetwork(net: Network): string {
  if (net.ip.length === 16) return formatNetwork(net);
  const octets = Math.ceil(net.prefix / 8);
  const shown = net.ip.slice(0, octets).join(".");
  return `${shown}${octets > 0 && octets < 4 ? "." : ""}/${net.prefix}`;
}
