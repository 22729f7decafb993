/** s6's access rules: which keys to look up for a client, in which order, and how to decode what is
 *  found (docs/specification.md#s6-access-rules). Pure: it does not read the folder or database.
 *
 *  A key is a path: `ip4/10.0.0.0_8`, `ip6/2001:db8::_32`, `reversedns/example.org`. In a folder it
 *  names a folder with the files `allow`, `deny` and `exec` and the folder `env`; in a cdb file it
 *  is the key of a record, whose value has the contents of all these files. */

import { DecodeError, Reader } from "./bytes.ts";
import { formatIp, type Ip, unmapIp } from "./ip.ts";
import { decodeOsText, encodeOsText } from "./os_text.ts";

/** Longest run of variables and longest command, in bytes; also the longest line of a file in
 *  `env`. s6-accessrules-cdb-from-fs has the same limit. */
export const MAX_PART = 4096;

/** Maximum number of variables of one rule. `MAX_PART` has room for more only if they are too short
 *  to be useful. */
export const MAX_VARIABLES = 256;

/** Maximum length of a variable's name, in bytes: that of a file name. */
const MAX_NAME = 255;

/** A DNS label (RFC 1035 2.3.1), with `_` as in names of services. It is safe as a file name. */
const LABEL = /^[a-z0-9_-]{1,63}$/;

/** Maximum length of a host name, in characters (RFC 1035 2.3.4: 255 octets on the wire). */
const MAX_HOST = 253;

const [ALLOW, DENY] = [0x41, 0x44];
const [NUL, NEWLINE] = [0, 0x0a];

/** What a key names: one address, a network, a host name or a suffix of a host name, or any host
 *  name. */
export type AccessKind = "address" | "network" | "host" | "any";

/** A key, in the two parts of its path. */
export interface AccessKey {
  readonly folder: "ip4" | "ip6" | "reversedns";
  readonly name: string;
  readonly kind: AccessKind;
}

/** A variable that a rule sets, or removes if the value is undefined. Both parts are decoded by
 *  os_text.ts. */
export type AccessVariable = readonly [name: string, value: string | undefined];

/** A decoded rule. */
export type AccessRule =
  | { readonly deny: true }
  | {
    readonly deny: false;
    readonly env: readonly AccessVariable[];
    /** The command that runs in place of the program: a line for `execlineb -c`. */
    readonly exec: string | undefined;
  };

/** Yields the keys for an address, the longest prefix first. An IPv4-mapped address is looked up as
 *  IPv4. The first key with a rule decides. */
export function* addressKeys(ip: Ip): Generator<AccessKey> {
  const bare = unmapIp(ip);
  const width = 8 * bare.length;
  const folder = width === 32 ? "ip4" : "ip6";
  const masked = bare.slice();
  let text = formatIp(masked);
  yield { folder, name: `${text}_${width}`, kind: "address" };
  for (let bits = width - 1; bits >= 0; bits--) {
    const byte = masked[bits >> 3]!;
    const bit = 0x80 >> (bits & 7);
    if (byte & bit) {
      masked[bits >> 3] = byte & ~bit;
      text = formatIp(masked);
    }
    yield { folder, name: `${text}_${bits}`, kind: "network" };
  }
}

/** Yields the keys for a host name in lower case: the name, its suffixes, then the key for any
 *  name. Yields no key for a text that is not a host name, so no rule applies to it. */
export function* hostKeys(host: string): Generator<AccessKey> {
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  if (name.length > MAX_HOST) return;
  const labels = name.split(".");
  if (!labels.every((label) => LABEL.test(label))) return;
  for (let i = 0; i < labels.length; i++) {
    yield { folder: "reversedns", name: labels.slice(i).join("."), kind: "host" };
  }
  yield { folder: "reversedns", name: "@", kind: "any" };
}

/** The path of a key. In a cdb file, the path is the key of the record. */
export function accessPath({ folder, name }: AccessKey): string {
  return `${folder}/${name}`;
}

/** Decodes the value of a cdb file: `D`; or `A`, the length of the variables, the variables, the
 *  length of the command and the command. Undefined: a value of another kind, which is not a rule.
 *  Throws DecodeError for a malformed value. */
export function decodeAccessRule(value: Uint8Array): AccessRule | undefined {
  const reader = new Reader(value, "s6 rules");
  const kind = reader.u8("kind");
  if (kind === DENY) return { deny: true };
  if (kind !== ALLOW) return undefined;
  const env = decodeVariables(part(reader, "variables"));
  const exec = decodeExec(part(reader, "command"));
  if (reader.left > 0) {
    throw new DecodeError(`s6 rules: end: ${reader.left} bytes left at byte ${reader.at}`);
  }
  return { deny: false, env, exec };
}

function part(reader: Reader, field: string): Uint8Array {
  const length = reader.u16(`${field} length`);
  if (length > MAX_PART) {
    throw new DecodeError(`s6 rules: ${field}: over ${MAX_PART} bytes at byte ${reader.at - 2}`);
  }
  return reader.take(length, field);
}

/** Decodes items `NAME=value` and `NAME` (remove), each with a NUL at its end. If a name occurs
 *  twice, the last item counts. Throws DecodeError. */
function decodeVariables(run: Uint8Array): AccessVariable[] {
  const env = new Map<string, string | undefined>();
  for (let at = 0; at < run.length;) {
    const end = run.indexOf(NUL, at);
    if (end < 0) throw new DecodeError(`s6 rules: variable: not terminated at byte ${at}`);
    const item = decodeOsText(run.subarray(at, end));
    const split = item.indexOf("=");
    const name = split < 0 ? item : item.slice(0, split);
    if (!isAccessVariable(name)) {
      throw new DecodeError(`s6 rules: variable: bad name at byte ${at}`);
    }
    env.set(name, split < 0 ? undefined : item.slice(split + 1));
    if (env.size > MAX_VARIABLES) {
      throw new DecodeError(`s6 rules: variables: more than ${MAX_VARIABLES} at byte ${at}`);
    }
    at = end + 1;
  }
  return [...env];
}

/** True for a name that a variable can have. */
export function isAccessVariable(name: string): boolean {
  return name !== "" && !/[=\0]/.test(name) && encodeOsText(name).length <= MAX_NAME;
}

/** Decodes a command: `exec` in a folder, or the last part of a value. Undefined: it is empty, and
 *  the program itself runs. Throws DecodeError. */
export function decodeExec(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_PART) {
    throw new DecodeError(`s6 rules: command: over ${MAX_PART} bytes at byte ${MAX_PART}`);
  }
  const nul = bytes.indexOf(NUL);
  if (nul >= 0) throw new DecodeError(`s6 rules: command: a NUL at byte ${nul}`);
  return bytes.length === 0 ? undefined : decodeOsText(bytes);
}

/** Decodes a file in `env`, as s6-envdir does: its first line, without blanks at the end, and with
 *  each NUL replaced by a newline. Undefined: the file is empty, and removes the variable. `bytes`:
 *  the first `MAX_PART` + 1 bytes of the file are enough. Throws DecodeError for a longer line. */
export function decodeEnvFile(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return undefined;
  const newline = bytes.indexOf(NEWLINE);
  let end = newline < 0 ? bytes.length : newline;
  if (end > MAX_PART) {
    throw new DecodeError(`s6 rules: variable: a line over ${MAX_PART} bytes at byte ${MAX_PART}`);
  }
  while (end > 0 && isBlank(bytes[end - 1]!)) end--;
  return decodeOsText(bytes.slice(0, end).map((byte) => byte === NUL ? NEWLINE : byte));
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}
