/** Stored access rules: which keys to look up for a peer, in which order, and how to decode the
 *  value (docs/specification.md#access-rules). Pure: the database is a function.
 *  A value that does not have exactly the form of tcprules is refused and never applied in part:
 *  half of a rule could allow what the whole rule denies. */

import { DecodeError, latin1 } from "./bytes.ts";
import {
  formatIpFull,
  formatNetwork,
  maskIp,
  networkKey,
  networkOfKey,
  parseIp,
  ruleNetwork,
  unmapIp,
} from "./ip.ts";
import { decodeOsText, encodeOsText } from "./os_text.ts";
import { printable } from "./printable.ts";

/** Maximum number of items in one rule, so that a hostile file cannot fill the environment
 *  (ARG_MAX). */
export const MAX_ITEMS = 256;

/** Characters of the longest host name and ident answer that are looked up. A name has 255 octets
 *  (RFC 1035 2.3.4), four characters each when escaped; an ident answer has 512 (RFC 1413 5). Each
 *  dot in a name costs a look-up. */
const MAX_PEER_TEXT = 1024;

/** Labels of the longest host name (RFC 1035 2.3.4: 255 octets, two for each label but the last). */
const MAX_LABELS = 127;

/** A portable variable name; or CERTFILE or KEYFILE for one server name (s6's convention). */
const NAME = /^(?:[A-Za-z_][A-Za-z0-9_]*|(?:CERTFILE|KEYFILE):[A-Za-z0-9_.*-]+)$/;

/** What is known about the peer. An unknown name is absent, not empty. */
export interface RulePeer {
  /** Address as text; IPv4-mapped IPv6 counts as IPv4. */
  readonly ip: string;
  /** Host name, lower case, as reverse DNS gave it. */
  readonly host?: string | undefined;
  /** Ident answer. */
  readonly info?: string | undefined;
}

/** A decoded rule. */
export interface Rule {
  /** The peer is refused. */
  readonly deny: boolean;
  /** The variables in file order, without those after a `D`. Values are decoded by os_text.ts. */
  readonly env: readonly (readonly [name: string, value: string])[];
}

/** The rule found, with the key that led to it. */
export interface RuleHit {
  /** The key in the database. */
  readonly key: Uint8Array;
  /** What it says. */
  readonly rule: Rule;
}

/** True for a name that a rule may set. */
export function isVariableName(name: string): boolean {
  return name.length <= 255 && NAME.test(name);
}

/** Decodes a record's value: NUL-terminated items `D` and `+NAME=value`. Throws DecodeError. */
export function decodeRule(value: Uint8Array): Rule {
  const env: [string, string][] = [];
  let deny = false;
  let items = 0;
  for (let at = 0; at < value.length;) {
    const end = value.indexOf(0, at);
    if (end < 0) throw new DecodeError(`rules: item: not terminated at byte ${at}`);
    if (++items > MAX_ITEMS) {
      throw new DecodeError(`rules: value: more than ${MAX_ITEMS} items at byte ${at}`);
    }
    const item = decodeOsText(value.subarray(at, end));
    if (item === "D") {
      deny = true;
    } else if (item.startsWith("+")) {
      const split = item.indexOf("=");
      const name = item.slice(1, split);
      if (split < 0) throw new DecodeError(`rules: variable: no value at byte ${at}`);
      if (!isVariableName(name)) throw new DecodeError(`rules: variable: bad name at byte ${at}`);
      if (!deny) env.push([name, item.slice(split + 1)]);
    } else {
      throw new DecodeError(`rules: item: neither D nor a variable at byte ${at}`);
    }
    at = end + 1;
  }
  return { deny, env };
}

/** Encodes a rule as tcprules does. The inverse of `decodeRule`. */
export function encodeRule(rule: Rule): Uint8Array<ArrayBuffer> {
  const items = rule.env.map(([name, value]) => `+${name}=${value}\0`);
  return encodeOsText((rule.deny ? "D\0" : "") + items.join(""));
}

/** Yields the keys to look up for `peer`, in the order of docs/specification.md#access-rules. The
 *  first key in the database decides. Throws DecodeError if the address is invalid, or a name is
 *  longer than any real one. */
export function* ruleKeys(peer: RulePeer): Generator<Uint8Array> {
  const ip = unmapIp(parseIp(peer.ip));
  const address = formatIpFull(ip);
  const { host, info } = peer;
  for (const [field, text] of [["host", host], ["info", info]] as const) {
    if (text !== undefined && text.length > MAX_PEER_TEXT) {
      throw new DecodeError(`rules: ${field}: too long at byte ${MAX_PEER_TEXT}`);
    }
  }
  if (host !== undefined && host.split(".", MAX_LABELS + 1).length > MAX_LABELS) {
    throw new DecodeError(`rules: host: more than ${MAX_LABELS} labels at byte 0`);
  }
  const utf8 = new TextEncoder();
  if (info !== undefined) {
    yield utf8.encode(`${info}@${address}`);
    if (host !== undefined) yield utf8.encode(`${info}@=${host}`);
  }
  yield utf8.encode(address);
  if (host !== undefined) yield utf8.encode(`=${host}`);

  if (ip.length === 4) {
    for (let octets = 3; octets > 0; octets--) {
      yield utf8.encode(ip.slice(0, octets).join(".") + ".");
    }
  }
  const width = 8 * ip.length;
  const bits = networkKey({ ip, prefix: width });
  for (let prefix = width; prefix >= 0; prefix--) {
    yield bits.subarray(0, prefix + 1);
    // Debian's tcprules stores `10.0.0.0/8:…` under the text itself.
    if (width === 32) yield utf8.encode(formatNetwork({ ip: maskIp(ip, prefix), prefix }));
  }
  if (host !== undefined) {
    for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
      yield utf8.encode(`=${host.slice(dot)}`);
    }
    yield utf8.encode("=");
  }
  yield new Uint8Array(0);
}

/** Returns the first rule for `peer`. `find` looks up one key. Throws DecodeError, and any error of
 *  `find`. */
export function findRule(
  peer: RulePeer,
  find: (key: Uint8Array) => Uint8Array | undefined,
): RuleHit | undefined {
  for (const key of ruleKeys(peer)) {
    const value = find(key);
    if (value !== undefined) return { key, rule: decodeRule(value) };
  }
  return undefined;
}

/** What a rule's key names: an ident answer, a host name or its suffix, an address, a network or
 *  dotted prefix, or (empty key) any client. */
export function ruleKind(key: Uint8Array): "info" | "host" | "address" | "network" | "any" {
  if (key.length === 0) return "any";
  if (networkOfKey(key)) return "network";
  const text = latin1(key);
  if (text.includes("@")) return "info";
  if (text.startsWith("=")) return "host";
  return text.endsWith(".") || text.includes("/") ? "network" : "address";
}

/** Names a rule as tcprulescheck does, without the colon: `rule 10./8`, `rule =.example`, `rule
 *  ` for the empty key, `default` if no rule applies. Unprintable bytes become `?`. */
export function ruleWords(key: Uint8Array | undefined): string {
  if (key === undefined) return "default";
  const net = networkOfKey(key);
  return `rule ${net ? ruleNetwork(net) : printable(latin1(key))}`;
}
