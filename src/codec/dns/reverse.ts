/** IP addresses for the resolver: compares addresses in any text form, and makes the names of their
 *  PTR records (RFC 1035 3.5, RFC 3596 2.5). Pure: no I/O.
 *  A zone (`fe80::1%eth0`) names the interface and not the host, so it is ignored. An IPv4-mapped
 *  address counts as the IPv4 address that it maps. */

import { DecodeError, equalBytes } from "../bytes.ts";
import { type Ip, ipOrUndefined, unmapIp } from "../ip.ts";

/** A zone is an interface's name or number (RFC 4007 11). Names on Linux have up to 15
 *  characters. */
const ZONE = /%[\w.-]{1,15}$/;

/** The bytes of an address, 4 or 16. Undefined if `text` is not an address. */
export function ipBytes(text: string): Ip | undefined {
  const ip = ipOrUndefined(text.includes(":") ? text.replace(ZONE, "") : text);
  return ip && unmapIp(ip);
}

/** 4 or 6. Undefined if `text` is not an address. */
export function ipFamily(text: string): 4 | 6 | undefined {
  const bytes = ipBytes(text);
  return bytes === undefined ? undefined : bytes.length === 4 ? 4 : 6;
}

/** True when both texts are the same address. */
export function sameAddress(a: string, b: string): boolean {
  const first = ipBytes(a);
  const second = ipBytes(b);
  return first !== undefined && second !== undefined && equalBytes(first, second);
}

/** Returns the name of an address's PTR records. Throws DecodeError if `text` is not an address. */
export function reverseName(text: string): string {
  const bytes = ipBytes(text);
  if (bytes === undefined) throw new DecodeError("ip: reverse name: not an address at byte 0");
  if (bytes.length === 4) return `${Array.from(bytes).reverse().join(".")}.in-addr.arpa`;
  const nibbles = Array.from(bytes).flatMap((byte) => [byte >> 4, byte & 15]);
  return `${nibbles.reverse().map((n) => n.toString(16)).join(".")}.ip6.arpa`;
}
