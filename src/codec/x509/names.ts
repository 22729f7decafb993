/** Formats the names of certificates as text: the line and the components that mod_ssl puts into
 *  the environment. Pure: no I/O.
 *  A peer controls the content of its certificate. Programs read these values line by line, copy
 *  them into logs and compare them. So control bytes are escaped as in OpenSSL, and the length of
 *  every text is limited. */

import { hex, latin1 } from "../bytes.ts";
import { TAG } from "../der.ts";
import type { Attribute, DistinguishedName } from "./certificate.ts";
import { attributeName } from "./oids.ts";

/** Longest text returned, in characters. Linux limits one variable to 131,072 bytes (execve(2),
 *  MAX_ARG_STRLEN), and a character can take four. A cut text ends in `...`. */
export const MAX_TEXT = 16_384;

/** mod_ssl's names of the components. UID is both the attribute of RFC 4519 and, as in mod_ssl, the
 *  unique identifier of X.520. */
const COMPONENTS: ReadonlyMap<string, string> = new Map([
  ["2.5.4.6", "C"],
  ["2.5.4.8", "ST"],
  ["2.5.4.7", "L"],
  ["2.5.4.10", "O"],
  ["2.5.4.11", "OU"],
  ["2.5.4.3", "CN"],
  ["2.5.4.12", "T"],
  ["2.5.4.43", "I"],
  ["2.5.4.42", "G"],
  ["2.5.4.4", "S"],
  ["2.5.4.13", "D"],
  ["0.9.2342.19200300.100.1.1", "UID"],
  ["2.5.4.45", "UID"],
  ["1.2.840.113549.1.9.1", "Email"],
]);

/** Returns the name on one line, byte for byte as `X509_NAME_oneline` prints it:
 *  `/C=US/ST=New York/CN=x`. Bytes outside printable ASCII become `\xHH`. `/` and `+` in a value
 *  get a backslash before them. `+` joins the attributes of one relative name. */
export function oneLine(name: DistinguishedName): string {
  let line = "";
  for (const rdn of name.rdns) {
    let before = "/";
    for (const { oid, value } of rdn) {
      line += `${before}${attributeName(oid)}=`;
      for (const byte of value) {
        if (byte < 0x20 || byte > 0x7e) line += `\\x${hexByte(byte)}`;
        else if (byte === 0x2f || byte === 0x2b) line += `\\${String.fromCharCode(byte)}`;
        else line += String.fromCharCode(byte);
      }
      before = "+";
      if (line.length > MAX_TEXT) return cut(line);
    }
  }
  return line;
}

/** Returns the name as `C=US, O=Example, CN=x`, in its own order. A comma, plus sign or backslash in
 *  a value gets a backslash before it; other characters are escaped as by `escapeText`. `+` joins
 *  the attributes of one relative name. */
export function commaLine(name: DistinguishedName): string {
  let line = "";
  for (const rdn of name.rdns) {
    let before = line === "" ? "" : ", ";
    for (const attribute of rdn) {
      const text = attributeText(attribute);
      const value = text === undefined ? escapeBytes(attribute.value) : escapeText(text);
      line += `${before}${attributeName(attribute.oid)}=${value.replaceAll(/[,+]/g, "\\$&")}`;
      before = " + ";
    }
    if (line.length > MAX_TEXT) return cut(line);
  }
  return line;
}

/** Returns mod_ssl's components in the order of the name: `["CN", text]`. The second component of a
 *  kind is `CN_1`, the third `CN_2`, as in mod_ssl. */
export function components(name: DistinguishedName): [name: string, text: string][] {
  const found: [string, string][] = [];
  const seen = new Map<string, number>();
  for (const attribute of name.rdns.flat()) {
    const component = COMPONENTS.get(attribute.oid);
    if (component === undefined) continue;
    const before = seen.get(component) ?? 0;
    seen.set(component, before + 1);
    const key = before === 0 ? component : `${component}_${before}`;
    const text = attributeText(attribute);
    found.push([key, text === undefined ? escapeBytes(attribute.value) : escapeText(text)]);
  }
  return found;
}

/** Decodes an attribute's value by its string type, without escaping. Undefined if the bytes are
 *  invalid for that type. */
export function attributeText({ tag, value }: Attribute): string | undefined {
  if (tag === TAG.bmp) return wide(value, 2);
  if (tag === TAG.universal) return wide(value, 4);
  // T61String has escape sequences that no program implements; all read it as ISO 8859-1.
  if (tag !== TAG.utf8) return latin1(value);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return undefined;
  }
}

/** Converts a relative name to a form for comparison, in which case, extra blanks and string
 *  types do not matter (RFC 5280 7.1). */
export function canonicalRdn(rdn: readonly Attribute[]): string {
  return JSON.stringify(
    rdn.map((attribute) => {
      const text = STRINGS.has(attribute.tag) ? attributeText(attribute) : undefined;
      const value = text === undefined
        ? `${attribute.tag} ${hex(attribute.value)}`
        : `=${text.normalize("NFKC").trim().replace(/\s+/g, " ").toLowerCase()}`;
      return `${attribute.oid} ${value}`;
    }).sort(),
  );
}

/** Types of text; 0x1a is VisibleString. */
const STRINGS = new Set<number>([
  TAG.utf8,
  TAG.numeric,
  TAG.printable,
  TAG.t61,
  TAG.ia5,
  TAG.universal,
  TAG.bmp,
  0x1a,
]);

function wide(value: Uint8Array, size: 2 | 4): string | undefined {
  if (value.length % size !== 0) return undefined;
  let text = "";
  for (let i = 0; i < value.length; i += size) {
    let code = 0;
    for (let j = 0; j < size; j++) code = code * 256 + (value[i + j] ?? 0);
    if (code > 0x10ffff) return undefined;
    text += String.fromCodePoint(code);
  }
  return text;
}

/** Escapes bytes of unknown encoding for one line. A byte outside ASCII becomes `\HH`, so that the
 *  text cannot pass for a valid name. */
function escapeBytes(bytes: Uint8Array): string {
  let line = "";
  for (const byte of bytes) {
    line += byte < 0x80 ? escapeText(String.fromCharCode(byte)) : `\\${hexByte(byte)}`;
    if (line.length > MAX_TEXT) return cut(line);
  }
  return line;
}

/** Escapes text for one line. A backslash is doubled. A character that ends a line, controls a
 *  terminal or has no UTF-8 form (C0 and C1 controls, DEL, U+2028, U+2029, a lone surrogate)
 *  becomes one `\HH` for each byte, as with OpenSSL's `esc_ctrl`. The text is cut to `MAX_TEXT`. */
export function escapeText(text: string): string {
  let line = "";
  // deno-lint-ignore no-control-regex
  if (/^[^\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*$/.test(text)) line = text;
  else {
    for (const character of text) {
      const code = character.codePointAt(0) ?? 0;
      if (character === "\\") line += "\\\\";
      else if (code < 0x20 || code === 0x7f) line += `\\${hexByte(code)}`;
      else if (code >= 0x80 && code < 0xa0) line += `\\C2\\${hexByte(code)}`;
      else if (code === 0x2028 || code === 0x2029) line += `\\E2\\80\\${hexByte(code - 0x1f80)}`;
      else if (code >= 0xd800 && code < 0xe000) {
        line += `\\${hexByte(0xe0 | code >> 12)}\\${hexByte(0x80 | code >> 6 & 63)}\\${
          hexByte(0x80 | code & 63)
        }`;
      } else line += character;
      if (line.length > MAX_TEXT) break;
    }
  }
  return line.length > MAX_TEXT ? cut(line) : line;
}

function cut(line: string): string {
  // Does not split a surrogate pair: a lone surrogate has no UTF-8 form.
  return `${line.slice(0, MAX_TEXT - 3).replace(/[\ud800-\udbff]$/, "")}...`;
}

function hexByte(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}
