/** Compiles the lines that tcprules reads: `address:instruction[,VAR="value"]…`
 *  (docs/specification.md#access-rules, man tcprules). Pure.
 *  The administrator writes the input, so it is trusted but may contain mistakes. A malformed
 *  line is an error with its reason. A well-formed line that can never match gets a warning;
 *  older tools store it silently. */

import { DecodeError, fromLatin1, latin1 } from "./bytes.ts";
import { MAX_VALUE } from "./cdb.ts";
import { formatIpFull, networkKey, parseIp, parseNetwork, unmapIp } from "./ip.ts";
import { decodeOsText } from "./os_text.ts";
import { encodeRule, isVariableName, MAX_ITEMS } from "./rules.ts";

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

/** A whole IPv4 address, or a prefix of one to three octets that ends with a dot. */
const CAN_MATCH = new RegExp(`^(?:(?:${OCTET}\\.){1,3}|(?:${OCTET}\\.){3}${OCTET})$`);

/** One line compiled: every key gets the same value. */
export interface CompiledRule {
  /** One, or one for each number of a range. */
  readonly keys: readonly Uint8Array[];
  /** As `encodeRule` makes it. */
  readonly value: Uint8Array;
  /** Why no peer can ever match. Absent if one can. */
  readonly warning?: string;
}

/** Compiles a line, without its newline. Undefined for a comment or an empty line. Throws
 *  DecodeError. Values keep their bytes, whether they are UTF-8 or not. */
export function compileRule(line: Uint8Array): CompiledRule | undefined {
  const text = latin1(line).replace(/[ \t]+$/, "");
  if (text === "" || text.startsWith("#")) return undefined;
  const colon = findColon(text);
  const value = compileInstructions(text, colon + 1);
  return { ...compileAddress(text.slice(0, colon)), value };
}

/** Returns where the address ends: at the first colon that an instruction follows. IPv6
 *  addresses and values can contain colons, too. */
function findColon(text: string): number {
  if (!text.includes(":")) throw new DecodeError("rules: line: no colon at byte 0");
  for (let at = text.indexOf(":"); at >= 0; at = text.indexOf(":", at + 1)) {
    if (/^(?:allow|deny)(?:,|$)/.test(text.slice(at + 1, at + 7))) return at;
  }
  throw new DecodeError(
    `rules: instruction: neither allow nor deny at byte ${text.indexOf(":") + 1}`,
  );
}

function compileInstructions(text: string, start: number): Uint8Array {
  const deny = text.startsWith("deny", start);
  const env: [string, string][] = [];
  let at = start + (deny ? 4 : 5);
  while (at < text.length) {
    if (text[at] !== ",") throw new DecodeError(`rules: variable: no comma at byte ${at}`);
    const equals = text.indexOf("=", at);
    if (equals < 0) throw new DecodeError(`rules: variable: no value at byte ${at + 1}`);
    const name = text.slice(at + 1, equals);
    if (!isVariableName(name)) {
      throw new DecodeError(`rules: variable: name not of letters, digits and _ at byte ${at + 1}`);
    }
    const quote = text[equals + 1];
    const end = quote === undefined ? -1 : text.indexOf(quote, equals + 2);
    if (end < 0) throw new DecodeError(`rules: variable: no closing quote at byte ${equals + 1}`);
    const value = decodeOsText(fromLatin1(text.slice(equals + 2, end)));
    if (value.includes("\0")) {
      throw new DecodeError(`rules: variable: NUL in value at byte ${equals + 2}`);
    }
    env.push([name, value]);
    at = end + 1;
  }
  const value = encodeRule({ deny, env });
  if (env.length >= MAX_ITEMS || value.length > MAX_VALUE) {
    throw new DecodeError(
      `rules: line: over ${MAX_ITEMS - 1} variables or ${MAX_VALUE} bytes at byte ${start}`,
    );
  }
  return value;
}

type RuleAddress = Omit<CompiledRule, "value">;

function compileAddress(text: string): RuleAddress {
  if (/^\s/.test(text)) throw new DecodeError("rules: address: begins with a space at byte 0");
  if (text === "") return { keys: [new Uint8Array(0)] };
  const host = text.startsWith("=") ? 1 : text.includes("@=") ? text.lastIndexOf("@=") + 2 : 0;
  if (host > 0) return compileHost(text, text.slice(host));
  const at = text.lastIndexOf("@");
  if (at >= 0) return compileInfo(text, text.slice(0, at + 1), text.slice(at + 1));
  if (text.includes("/")) return { keys: [compileNetwork(text)] };
  if (text.includes(":")) return { keys: [fromLatin1(formatIpFull(unmapIp(parseIp(text))))] };
  if (text.includes("-")) return compileRange(text);
  return plain([text]);
}

function compileHost(text: string, host: string): RuleAddress {
  const keys = [fromLatin1(text)];
  const warning = unmatchableHost(host, text !== `=${host}`);
  return warning === undefined ? { keys } : { keys, warning };
}

/** A label as the resolver writes it (codec/dns/name.ts); `\DDD` is any other byte. */
const LABEL = /^(?:[a-z0-9_-]|\\[0-9]{3})+$/;

/** Returns why no host name can match `host`, or undefined if one can. Host names have the
 *  resolver's form and are compared byte for byte. `whole`: user@= precedes `host`, so it cannot
 *  be a domain. */
function unmatchableHost(host: string, whole: boolean): string | undefined {
  const below = host.startsWith(".");
  if (host === "") return whole ? "after user@= there is no host name" : undefined;
  if (below && whole) return "after user@= only a whole host name can match";
  if (/[A-Z]/.test(host)) return "host names are compared in lower case";
  if (host.includes("*")) {
    return "* stands for nothing in a host name: =.example means all below it";
  }
  if (/\s/.test(host)) return "no host name has a blank";
  if (/[^.]\.$/.test(host)) return "host names are compared without the dot at the end";
  const labels = (below ? host.slice(1) : host).split(".");
  if (labels.includes("")) return "no host name has an empty label";
  // admit/names.ts refuses host names that read as an address.
  if (!below && CAN_MATCH.test(host)) return "no host is named like an address";
  return labels.every((label) => LABEL.test(label)) ? undefined : "not a host name";
}

function compileInfo(text: string, info: string, address: string): RuleAddress {
  try {
    return { keys: [fromLatin1(info + formatIpFull(unmapIp(parseIp(address))))] };
  } catch {
    const warning = "after user@ only one whole address or =host can match";
    return { keys: [fromLatin1(text)], warning };
  }
}

/** `10.0.0.0/8`, ucspi-tcp6's short form `10./8`, or IPv6. */
function compileNetwork(text: string): Uint8Array {
  const short = /^((?:[0-9]{1,3}\.){0,3})([0-9]{0,3})\/([0-9]+)$/.exec(text);
  if (!short) return networkKey(parseNetwork(text));
  const octets = `${short[1]}${short[2]}`.split(".").filter((octet) => octet !== "");
  if (octets.length === 0) throw new DecodeError("rules: address: no octet before / at byte 0");
  while (octets.length < 4) octets.push("0");
  return networkKey(parseNetwork(`${octets.join(".")}/${short[3]}`));
}

/** `1.2.3.4-7`, `10.2-3.`: one octet of the address is a range. */
function compileRange(text: string): RuleAddress {
  const parts = /^((?:[0-9]{1,3}\.)*)([0-9]{1,3})-([0-9]{1,3})((?:\.[0-9]{1,3})*\.?)$/.exec(text);
  if (!parts) throw new DecodeError("rules: range: not of one octet of an address at byte 0");
  const [, before, from, to, after] = parts;
  const [low, high] = [Number(from), Number(to)];
  if (low > high || high > 255) {
    throw new DecodeError(`rules: range: ${low} to ${high} is no range of octets at byte 0`);
  }
  const texts: string[] = [];
  for (let octet = low; octet <= high; octet++) texts.push(`${before}${octet}${after}`);
  return plain(texts);
}

/** Whole IPv4 addresses, or prefixes of them that end with a dot, stored unchanged. */
function plain(texts: string[]): RuleAddress {
  const keys = texts.map(fromLatin1);
  if (texts.every((text) => CAN_MATCH.test(text))) return { keys };
  return { keys, warning: "neither an address nor a prefix that ends with a dot" };
}
