/** Converts the system's text (arguments, environment, paths) to strings and back without loss.
 *  Pure: no I/O. The bytes need not be UTF-8. A byte that is not part of a UTF-8 character
 *  becomes one of the surrogates U+DC80 to U+DCFF, which UTF-8 cannot encode (as in Python's PEP
 *  383). */

import { concat } from "./bytes.ts";

const ESCAPE = 0xdc00;
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

/** The string for these bytes. */
export function decodeOsText(bytes: Uint8Array): string {
  try {
    return DECODER.decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length;) {
      const length = characterAt(bytes, at);
      text += length === 0
        ? String.fromCharCode(ESCAPE + (bytes[at] as number))
        : DECODER.decode(bytes.subarray(at, at + length));
      at += Math.max(length, 1);
    }
    return text;
  }
}

/** The inverse of `decodeOsText`. A surrogate that does not stand for a byte becomes U+FFFD. */
export function encodeOsText(text: string): Uint8Array<ArrayBuffer> {
  if (text.isWellFormed()) return ENCODER.encode(text);
  const parts: Uint8Array[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    const isByte = code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff;
    parts.push(isByte ? Uint8Array.of(code - ESCAPE) : ENCODER.encode(character));
  }
  return concat(parts);
}

/** Returns the number of bytes of the UTF-8 character at `at` (RFC 3629 4), or 0 if there is
 *  none. */
function characterAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  try {
    DECODER.decode(bytes.subarray(at, at + length));
    return at + length <= bytes.length ? length : 0;
  } catch {
    return 0;
  }
}
