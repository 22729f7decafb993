/** Converts DNS names between wire form and text (RFC 1035 3.1, 4.1.4, 5.1). Pure: no I/O.
 *
 *  Text is lower case, has no final dot (the root is `.`) and contains only printable ASCII. Bytes
 *  other than letters, digits, `-` and `_` become `\DDD`, so a name from a hostile zone is safe in
 *  an environment, a log or a cache key. Two texts are equal if and only if the names are.
 *
 *  On the wire, pointers must go backwards and a name has at most 255 octets, so a hostile
 *  answer can neither loop nor grow. `Names` limits the total cost of all names of one message. */

import { DecodeError, Reader } from "../bytes.ts";

/** RFC 1035 2.3.4: octets of a whole name, length octets and the final zero included. */
export const MAX_NAME = 255;
/** RFC 1035 2.3.4: octets of one label. */
const MAX_LABEL = 63;
/** Pointers followed in one name. A name has at most 127 labels, and an honest pointer replaces at
 *  least one. */
const MAX_POINTERS = 127;
/** Octets read for all names of one message, length octets and pointers included. With compression,
 *  64 KB can hold a megabyte of names; an honest message stays far below this limit. */
export const MAX_NAME_WORK = 8192;

const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** The characters that are not escaped in text. */
const PLAIN = "-0123456789_abcdefghijklmnopqrstuvwxyz";

/** A byte as text: lower case, unusual bytes escaped. */
function textOf(byte: number): string {
  const character = String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
  return PLAIN.includes(character) ? character : `\\${byte.toString().padStart(3, "0")}`;
}

/** Reads the names of one message. A pointer ends a series of labels and must point before its
 *  start (RFC 1035 4.1.4 "prior occurrence"), so no name can loop. */
export class Names {
  /** Octets that may still be read. */
  #left = MAX_NAME_WORK;
  /** Cache of names that are only a pointer, by the pointer's target. Most owner names repeat the
   *  name in the question. */
  readonly #pointed = new Map<number, string>();

  /** Reads a name, compressed or not. Moves `reader` to the byte after the name. */
  read(reader: Reader, field: string): string {
    let text = "";
    let length = 1;
    let pointers = 0;
    let at = reader;
    const from = reader.at;
    let start = from;
    let only: number | undefined;
    for (;;) {
      const where = at.at;
      const size = at.u8(field);
      this.#spend(size < 0xc0 ? size + 1 : 2, at, field);
      if (size === 0) break;
      if (size >= 0xc0) {
        const target = (size & 0x3f) << 8 | at.u8(field);
        if (target >= start) {
          throw new DecodeError(`${at.format}: ${field}: pointer not backwards at byte ${where}`);
        }
        if (where === from) {
          const known = this.#pointed.get(target);
          if (known !== undefined) return known;
          only = target;
        }
        if (++pointers > MAX_POINTERS) {
          throw new DecodeError(`${at.format}: ${field}: over 127 pointers at byte ${where}`);
        }
        at = new Reader(at.bytes, at.format, target);
        start = target;
        continue;
      }
      checkLabel(size, at, field, where);
      length += size + 1;
      if (length > MAX_NAME) {
        throw new DecodeError(`${at.format}: ${field}: name over 255 octets at byte ${where}`);
      }
      if (text !== "") text += ".";
      at.skip(size, field);
      for (let i = where + 1; i < at.at; i++) text += textOf(at.bytes[i] ?? 0);
    }
    if (text === "") text = ".";
    if (only !== undefined) this.#pointed.set(only, text);
    return text;
  }

  #spend(octets: number, { format, at }: Reader, field: string): void {
    this.#left -= octets;
    if (this.#left >= 0) return;
    throw new DecodeError(`${format}: ${field}: names over ${MAX_NAME_WORK} octets at byte ${at}`);
  }
}

/** Moves `reader` past a name. Follows no pointer. */
export function skipName(reader: Reader, field: string): void {
  for (;;) {
    const where = reader.at;
    const size = reader.u8(field);
    if (size === 0) return;
    if (size >= 0xc0) {
      reader.skip(1, field);
      return;
    }
    checkLabel(size, reader, field, where);
    reader.skip(size, field);
  }
}

function checkLabel(size: number, { format }: Reader, field: string, where: number): void {
  if (size > MAX_LABEL) {
    throw new DecodeError(`${format}: ${field}: reserved label type at byte ${where}`);
  }
}

/** Reads one name; see `Names`. */
export function readDnsName(reader: Reader, field: string): string {
  return new Names().read(reader, field);
}

/** Returns the wire form of a name given as text. `\DDD` is the byte with that decimal number; a
 *  backslash before any other character stands for that character. A final dot is optional. Throws
 *  DecodeError. */
export function encodeName(text: string): Uint8Array<ArrayBuffer> {
  const fail = (why: string, at: number) => new DecodeError(`dns name: text: ${why} at byte ${at}`);
  if (text === ".") return new Uint8Array(1);
  if (text === "") throw fail("empty name", 0);
  const wire = new Uint8Array(MAX_NAME);
  let used = 1;
  let head = 0;
  const endLabel = (at: number) => {
    const size = used - head - 1;
    if (size === 0) throw fail("empty label", at);
    if (size > MAX_LABEL) throw fail("label over 63 octets", at);
    wire[head] = size;
  };
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code > 0xff) throw fail("character outside one byte", i);
    if (code === DOT) {
      endLabel(i);
      if (i === text.length - 1) return wire.slice(0, used + 1);
      head = used++;
      continue;
    }
    if (code === BACKSLASH) {
      const digits = /^\d{3}/.exec(text.slice(i + 1, i + 4))?.[0];
      code = digits === undefined ? text.charCodeAt(i + 1) : Number(digits);
      if (!(code <= 0xff)) throw fail("bad escape", i);
      i += digits === undefined ? 1 : 3;
    }
    // One octet is reserved for the root label that ends the name.
    if (used >= MAX_NAME - 1) throw fail("name over 255 octets", i);
    wire[used++] = code;
  }
  endLabel(text.length);
  return wire.slice(0, used + 1);
}

/** Returns the canonical text of a name (see the top of this file), for comparison and as a key. */
export function canonicalName(text: string): string {
  return readDnsName(new Reader(encodeName(text), "dns name"), "text");
}
