/** PEM (RFC 7468, with the headers of RFC 1421 that old encrypted keys carry): text to blocks
 *  and back. Pure: no I/O.
 *  Text outside the blocks is skipped (`openssl x509 -text` writes some). Inside, everything must be
 *  right, and outside nothing may look like the damaged begin or end of a block: a file damaged
 *  somewhere never counts as a shorter one, without the list that revokes somebody, say. */

import { concat, DecodeError, latin1 } from "../bytes.ts";

/** One block. */
export interface PemBlock {
  /** What stands after BEGIN: `CERTIFICATE`, `PRIVATE KEY`, … */
  readonly label: string;
  /** Header lines by name, as in `Proc-Type: 4,ENCRYPTED`; mostly empty. */
  readonly headers: ReadonlyMap<string, string>;
  /** What the base64 text stands for. */
  readonly bytes: Uint8Array;
}

/** A bundle of all public authorities has about 150 certificates and 220 KB; a file far beyond
 *  that is a mistake or wants to exhaust memory. */
const MAX_BYTES = 4 << 20;
const MAX_BLOCKS = 4096;
/** RFC 1421 needs two headers (Proc-Type, DEK-Info). */
const MAX_HEADERS = 16;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGIT = new Int8Array(256).fill(-1);
for (let i = 0; i < 64; i++) DIGIT[ALPHABET.charCodeAt(i)] = i;

const BEGIN = /^-----BEGIN ([A-Z0-9][A-Z0-9 #]{0,63})-----$/;
/** Lines that were meant to begin or end a block: with dashes, or with a name that blocks have. */
const DAMAGED =
  /--\s{0,8}(?:BEGIN|END)\b|----\s{0,8}(?:begin|end)\b|(?<![A-Za-z0-9])(?:BEGIN|END)\s[A-Z0-9 #]{0,64}\b(?:CERTIFICATE|CRL|KEY|PARAMETERS)\b/;
/** Editors on Windows put one in front of a file, and then files are joined. */
const BYTE_ORDER_MARKS = /^(?:\xef\xbb\xbf)+/;
const HEADER = /^([A-Za-z][A-Za-z0-9-]{0,63}):[ \t]*(.*)$/;

/** The blocks of a PEM file, in order. `DecodeError` names the line of what is wrong. */
export function decodePem(file: Uint8Array): PemBlock[] {
  if (file.length > MAX_BYTES) throw new DecodeError(`pem: file: above ${MAX_BYTES} bytes`);
  const lines = latin1(file).split(/\r\n|\n|\r/);
  const blocks: PemBlock[] = [];
  for (let at = 0; at < lines.length; at++) {
    const text = line(lines, at).replace(BYTE_ORDER_MARKS, "");
    const label = BEGIN.exec(text)?.[1];
    if (label === undefined) {
      if (isDamaged(text)) throw new DecodeError(`pem: damaged BEGIN or END at line ${at + 1}`);
      continue;
    }
    if (blocks.length === MAX_BLOCKS) {
      throw new DecodeError(`pem: file: above ${MAX_BLOCKS} blocks at line ${at + 1}`);
    }
    let end = at + 1;
    while (end < lines.length && !line(lines, end).startsWith("-----")) end++;
    if (end === lines.length) {
      throw new DecodeError(`pem: ${label}: no END line for line ${at + 1}`);
    }
    if (line(lines, end) !== `-----END ${label}-----`) {
      throw new DecodeError(`pem: ${label}: other line than END at line ${end + 1}`);
    }
    blocks.push(block(label, lines, at + 1, end));
    at = end;
  }
  return blocks;
}

/** A line that begins with `#` is a comment: somebody has taken a block out on purpose. */
function isDamaged(text: string): boolean {
  return !/^\s*#/.test(text) && DAMAGED.test(text.replace(/[^\t -~]/g, ""));
}

function line(lines: readonly string[], at: number): string {
  return (lines[at] ?? "").trimEnd();
}

function block(label: string, lines: readonly string[], from: number, end: number): PemBlock {
  const headers = new Map<string, string>();
  let at = from;
  if (HEADER.test(line(lines, at))) {
    let name = "";
    for (; at < end && line(lines, at) !== ""; at++) {
      const text = line(lines, at);
      const found = HEADER.exec(text);
      if (found) name = found[1] ?? "";
      else if (!/^[ \t]/.test(text)) {
        throw new DecodeError(`pem: ${label}: bad header at line ${at + 1}`);
      }
      const value = found ? found[2] ?? "" : (headers.get(name) ?? "") + text.trimStart();
      headers.set(name, value);
      if (headers.size > MAX_HEADERS) {
        throw new DecodeError(`pem: ${label}: above ${MAX_HEADERS} headers at line ${at + 1}`);
      }
    }
  }
  const base64 = lines.slice(at, end).join("").replace(/[ \t]/g, "");
  return { label, headers, bytes: decodeBase64(base64, `${label} of line ${from}`) };
}

/** Strict base64 (RFC 4648 4): padded, no foreign character, no stray bits, so that two texts
 *  never stand for the same bytes. */
function decodeBase64(text: string, field: string): Uint8Array {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  if (text.length % 4 !== 0) throw new DecodeError(`pem: ${field}: base64 cut short`);
  const bytes = new Uint8Array(text.length / 4 * 3 - padding);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < digits; i++) {
    const digit = DIGIT[text.charCodeAt(i)] ?? -1;
    if (digit < 0) throw new DecodeError(`pem: ${field}: not base64 at character ${i}`);
    bits = (bits << 6 | digit) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[at++] = bits >> held & 0xff;
    }
  }
  if ((bits & (1 << held) - 1) !== 0) {
    throw new DecodeError(`pem: ${field}: stray bits at the end`);
  }
  return bytes;
}

/** The text of one block: 64 characters a line, as OpenSSL writes it, newline at the end. */
export function encodePem(label: string, bytes: Uint8Array): string {
  const rest = bytes.length % 3;
  const padded = rest === 0 ? bytes : concat([bytes, new Uint8Array(3 - rest)]);
  let base64 = "";
  for (let i = 0; i < padded.length; i += 3) {
    const group = (padded[i] ?? 0) << 16 | (padded[i + 1] ?? 0) << 8 | (padded[i + 2] ?? 0);
    for (let shift = 18; shift >= 0; shift -= 6) base64 += ALPHABET.charAt(group >> shift & 63);
  }
  if (rest !== 0) base64 = base64.slice(0, rest - 3) + "=".repeat(3 - rest);
  let body = "";
  for (let i = 0; i < base64.length; i += 64) body += `${base64.slice(i, i + 64)}\n`;
  return `-----BEGIN ${label}-----\n${body}-----END ${label}-----\n`;
}
