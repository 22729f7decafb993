/** Decodes and encodes PEM (RFC 7468, with the headers of RFC 1421 in old encrypted keys). Pure: no
 *  I/O.
 *  Text outside the blocks is skipped (`openssl x509 -text` writes some), but must not look like
 *  a damaged BEGIN or END line. Inside a block everything must be valid. So a damaged file
 *  cannot pass for a shorter one, for example for one without a revocation list. */

import { DecodeError, latin1 } from "../bytes.ts";

/** One block. */
export interface PemBlock {
  /** The text after BEGIN: `CERTIFICATE`, `PRIVATE KEY`, … */
  readonly label: string;
  /** Header lines by name, as in `Proc-Type: 4,ENCRYPTED`. Usually empty. */
  readonly headers: ReadonlyMap<string, string>;
  /** The decoded base64 text. */
  readonly bytes: Uint8Array;
}

/** A bundle of all public authorities has about 150 certificates and 220 KB. A far larger file is a
 *  mistake or an attempt to exhaust memory. */
const MAX_BYTES = 4 << 20;
const MAX_BLOCKS = 4096;
/** RFC 1421 needs two headers (Proc-Type, DEK-Info). */
const MAX_HEADERS = 16;

const BEGIN = /^-----BEGIN ([A-Z0-9][A-Z0-9 #]{0,63})-----$/;
/** A line that was meant to begin or end a block: it has dashes, or the label of a block. */
const DAMAGED =
  /--\s{0,8}(?:BEGIN|END)\b|----\s{0,8}(?:begin|end)\b|(?<![A-Za-z0-9])(?:BEGIN|END)\s[A-Z0-9 #]{0,64}\b(?:CERTIFICATE|CRL|KEY|PARAMETERS)\b/;
/** Editors on Windows put a mark at the start of a file. Concatenated files have it at any line. */
const BYTE_ORDER_MARKS = /^(?:\xef\xbb\xbf)+/;
const HEADER = /^([A-Za-z][A-Za-z0-9-]{0,63}):[ \t]*(.*)$/;

/** Returns the blocks of a PEM file, in order. Throws `DecodeError`, which names the line. */
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

/** A line that begins with `#` is a comment: a block may be disabled on purpose. */
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

/** Decodes strict base64 (RFC 4648 4): padded, no foreign character, no stray bits. So the same
 *  bytes never have two texts. */
function decodeBase64(text: string, field: string): Uint8Array {
  if (text.length % 4 !== 0) throw new DecodeError(`pem: ${field}: base64 cut short`);
  const digits = text.endsWith("==") ? -2 : text.endsWith("=") ? -1 : text.length;
  const foreign = text.slice(0, digits).search(/[^A-Za-z0-9+/]/);
  if (foreign >= 0) throw new DecodeError(`pem: ${field}: not base64 at character ${foreign}`);
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    throw new DecodeError(`pem: ${field}: stray bits at the end`);
  }
}

/** The text of one block: 64 characters a line, as OpenSSL writes it, newline at the end. */
export function encodePem(label: string, bytes: Uint8Array): string {
  const base64 = bytes.toBase64();
  let body = "";
  for (let i = 0; i < base64.length; i += 64) body += `${base64.slice(i, i + 64)}\n`;
  return `-----BEGIN ${label}-----\n${body}-----END ${label}-----\n`;
}
