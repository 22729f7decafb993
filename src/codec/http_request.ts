/** Requests of HTTP/1.0 and 1.1 (RFC 9112), read strictly: a head that two readers could understand
 *  differently is refused. Pure: no I/O. */

import { latin1 } from "./bytes.ts";

/** Maximum size of a request head, in bytes: more than browsers send, and too little to fill
 *  memory. */
export const MAX_HEAD = 8192;
/** Maximum number of fields in a head. */
const MAX_FIELDS = 100;

const LF = 10;
const CR = 13;

export interface HttpRequest {
  readonly method: string;
  /** Path and query as they were sent; begins with a slash. */
  readonly target: string;
  /** The fields by lower-case name. Several fields of one name are joined by a comma. */
  readonly fields: ReadonlyMap<string, string>;
}

/** The status with which a request is refused. */
export type RequestRefusal = 400 | 414 | 431 | 505;

/** Returns the length of the head with its empty line; 0 if it is not complete. The first `known`
 *  bytes were searched before and are skipped, so that a head that arrives byte by byte does not
 *  take quadratic time. A lone line feed may end a line (RFC 9112 2.2). */
export function headLength(bytes: Uint8Array, known = 0): number {
  const end = Math.min(bytes.length, MAX_HEAD);
  for (let i = Math.max(known, 1); i < end; i++) {
    if (bytes[i] !== LF) continue;
    if (bytes[i - 1] === LF || (bytes[i - 1] === CR && bytes[i - 2] === LF)) return i + 1;
  }
  return 0;
}

/** The status for a head that does not end within `MAX_HEAD` bytes: its first line (414) or its
 *  fields (431) are too long. */
export function tooLong(bytes: Uint8Array): 414 | 431 {
  return bytes.subarray(0, MAX_HEAD).includes(LF) ? 431 : 414;
}

/** The request line: method, target and minor version; undefined if it is not a request line of
 *  HTTP/1. */
export function requestLine(
  head: string,
): { method: string; target: string; minor: string } | undefined {
  const [, method, target, minor] = /^([!-~]+) ([!-~]+) HTTP\/1\.([01])\r?\n/.exec(head) ?? [];
  if (method === undefined || target === undefined || minor === undefined) return undefined;
  return { method, target, minor };
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Reads a complete head. */
export function readRequest(head: Uint8Array): HttpRequest | RequestRefusal {
  const text = latin1(head);
  const line = requestLine(text);
  if (!line) return /^[!-~]+ [!-~]+ HTTP\/[0-9]\.[0-9]\r?\n/.test(text) ? 505 : 400;
  const lines = text.split(/\r?\n/).slice(1, -2); // the head ends with an empty line
  if (lines.length > MAX_FIELDS) return 431;
  const fields = new Map<string, string>();
  for (const one of lines) {
    const colon = one.indexOf(":");
    const name = one.slice(0, colon).toLowerCase();
    const value = one.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    // deno-lint-ignore no-control-regex
    if (colon < 1 || !TOKEN.test(name) || /[\x00-\x08\x0a-\x1f\x7f]/.test(value)) return 400;
    const before = fields.get(name);
    if (before !== undefined && (name === "host" || name === "content-length")) return 400;
    fields.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  if (line.minor === "1" && !fields.has("host")) return 400; // RFC 9112 3.2
  const target = pathAndQuery(line.target);
  if (target === undefined || !TOKEN.test(line.method)) return 400;
  return { method: line.method, target, fields };
}

/** Returns the path and query of a target, which may be a whole URL (RFC 9112 3.2.2). */
function pathAndQuery(target: string): string | undefined {
  if (target.startsWith("/")) return target;
  const [, rest] = /^https?:\/\/[^/?#]+(.*)$/i.exec(target) ?? [];
  if (rest === undefined) return undefined;
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/** A path, decoded once. `folder`: the path ends with a slash, and so names a folder. */
export interface DecodedPath {
  readonly segments: readonly Uint8Array[];
  readonly folder: boolean;
}

/** Decodes the path of a target for a lookup below a folder. Returns undefined for a path that
 *  cannot name such a file: one with a malformed escape, an empty segment, `.` or `..`, or an
 *  escaped slash, backslash or control character. */
export function decodePath(target: string): DecodedPath | undefined {
  const path = target.replace(/[?#].*$/s, "");
  const parts = path.slice(1).split("/");
  const folder = parts.at(-1) === "";
  if (folder) parts.pop();
  const segments: Uint8Array[] = [];
  for (const part of parts) {
    const bytes = unescaped(part);
    if (!bytes || bytes.length === 0 || isDots(bytes) || bytes.some(isForbidden)) return undefined;
    segments.push(bytes);
  }
  return { segments, folder };
}

function unescaped(text: string): Uint8Array | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  const decoded = text.replaceAll(
    /%(..)/g,
    (_, pair: string) => String.fromCharCode(parseInt(pair, 16)),
  );
  return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
}

const DOT = 0x2e;
const isDots = (bytes: Uint8Array): boolean =>
  bytes.length <= 2 && bytes.every((byte) => byte === DOT);
/** A slash, a backslash, or a control character. */
const isForbidden = (byte: number): boolean =>
  byte < 0x20 || byte === 0x7f || byte === 0x2f || byte === 0x5c;

/** A part of a file: from `first` to `last`, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** Reads a Range field (RFC 9110 14.2). Undefined: the whole file must be sent, because the field
 *  is absent or malformed, or has several ranges. `none`: no range can be satisfied. */
export function readRange(field: string | undefined, size: number): ByteRange | "none" | undefined {
  const [, list] = /^bytes[ \t]*=(.*)$/i.exec(field ?? "") ?? [];
  if (list === undefined) return undefined;
  const found: ByteRange[] = [];
  const parts = list.split(",").map((part) => part.trim()).filter((part) => part !== "");
  for (const part of parts) {
    const [, from, to] = /^([0-9]{0,15})-([0-9]{0,15})$/.exec(part) ?? [];
    if (from === undefined || to === undefined || (from === "" && to === "")) return undefined;
    const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
    const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
    if (from !== "" && to !== "" && Number(to) < first) return undefined;
    if (first < size && first <= last) found.push({ first, last });
  }
  if (parts.length === 0) return undefined;
  if (found.length === 0) return "none";
  return parts.length === 1 ? found[0] : undefined;
}

/** True if an If-Match or If-None-Match field has this tag, by weak comparison (RFC 9110 8.8.3.2). */
export function hasTag(field: string, tag: string): boolean {
  if (field.trim() === "*") return true;
  const opaque = (one: string): string => one.trim().replace(/^W\//, "");
  return field.split(",").some((one) => opaque(one) === opaque(tag));
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A date in the form of RFC 9110 5.6.7. `ms`: milliseconds since 1970. */
export function httpDate(ms: number): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = new Date(ms);
  const day = `${DAYS[date.getUTCDay()]}, ${two(date.getUTCDate())}`;
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(":");
  return `${day} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()} ${time} GMT`;
}

/** Reads a date in the preferred form, into milliseconds since 1970. Undefined for any other
 *  form. */
export function readHttpDate(text: string | undefined): number | undefined {
  const [, day, month, year, time] =
    /^[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) GMT$/
      .exec(text ?? "") ?? [];
  const number = MONTHS.indexOf(month ?? "") + 1;
  if (number === 0) return undefined;
  const ms = Date.parse(`${year}-${String(number).padStart(2, "0")}-${day}T${time}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
