/** A strict reader for the part of DER (X.690 chapter 10) that X.509 needs. Pure: no I/O.
 *  The caller reads one element after another by its schema. The reader does not recurse, so nested
 *  input cannot exhaust the stack. Lengths must be definite, minimal and within the enclosing
 *  element, so that an accepted input has only one meaning. */

import { DecodeError } from "./bytes.ts";

/** Identifier octets (X.680 8.4) of the types that occur in certificates. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8: 0x0c,
  numeric: 0x12,
  printable: 0x13,
  t61: 0x14,
  ia5: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universal: 0x1c,
  bmp: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element: its identifier octet, its content, and its position in the input. */
export interface Element {
  readonly tag: number;
  /** The value without identifier and length; a view. */
  readonly content: Uint8Array;
  /** Identifier, length and value; a view. */
  readonly der: Uint8Array;
  /** Where the content begins, in bytes from the start of the input. */
  readonly start: number;
}

/** Longest object identifier. Those in use are far shorter; a longer one would only cost time. */
const MAX_OID_BYTES = 128;

/** Reads the elements between two offsets, front to back. */
export class DerReader {
  /** `format` begins every error message. The reader reads the bytes from offset `at` up to
   *  `end`. */
  constructor(
    readonly bytes: Uint8Array,
    readonly format: string,
    public at = 0,
    readonly end = bytes.length,
  ) {}

  get done(): boolean {
    return this.at >= this.end;
  }

  /** Throws a `DecodeError` that names the field, the reason and the offset. */
  fail(field: string, reason: string, at = this.at): never {
    throw new DecodeError(`${this.format}: ${field}: ${reason} at byte ${at}`);
  }

  /** The identifier octet of the next element, -1 at the end. */
  peek(): number {
    return this.done ? -1 : this.bytes[this.at] ?? -1;
  }

  /** Reads the next element, of any type. */
  read(field: string): Element {
    const from = this.at;
    const { bytes } = this;
    if (this.end - from < 2) this.fail(field, "cut short in the header");
    const tag = bytes[from] ?? 0;
    // X.509 has no tag number above 30 (RFC 5280 appendix A).
    if ((tag & 0x1f) === 0x1f) this.fail(field, "long tag");
    let length = bytes[from + 1] ?? 0;
    let start = from + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0) this.fail(field, "indefinite length");
      // Four bytes can express 4 GiB, more than any caller accepts.
      if (count > 4) this.fail(field, "length too long");
      if (this.end - start < count) this.fail(field, "cut short in the length");
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + i] ?? 0);
      if (length < 0x80 || length < 2 ** (8 * (count - 1))) this.fail(field, "length not minimal");
      start += count;
    }
    if (length > this.end - start) {
      this.fail(field, `needs ${length} bytes, ${this.end - start} left`);
    }
    this.at = start + length;
    return {
      tag,
      start,
      content: bytes.subarray(start, this.at),
      der: bytes.subarray(from, this.at),
    };
  }

  /** Reads the next element. Throws if it is not of this type. */
  expect(tag: number, field: string): Element {
    const found = this.peek();
    if (found !== tag) this.fail(field, found < 0 ? "missing" : `unexpected type ${found}`);
    return this.read(field);
  }

  /** Reads the next element if it is of this type; otherwise reads nothing. */
  optional(tag: number, field: string): Element | undefined {
    return this.peek() === tag ? this.read(field) : undefined;
  }

  /** Returns a reader for the content of an element of this input. */
  inside(element: Element): DerReader {
    const end = element.start + element.content.length;
    return new DerReader(this.bytes, this.format, element.start, end);
  }

  /** Reads a SEQUENCE and returns a reader for its content. */
  sequence(field: string): DerReader {
    return this.inside(this.expect(TAG.sequence, field));
  }

  /** Throws if bytes follow the last element. */
  finish(field: string): void {
    if (!this.done) this.fail(field, `${this.end - this.at} bytes too many`);
  }

  /** Reads an INTEGER. Returns its content: two's complement, big-endian, minimal (X.690 8.3.2). */
  integer(field: string, maxBytes: number): Uint8Array {
    const { content, start } = this.expect(TAG.integer, field);
    if (content.length === 0) this.fail(field, "empty integer", start);
    if (content.length > maxBytes) this.fail(field, `integer above ${maxBytes} bytes`, start);
    const [first = 0, second = 0] = content;
    if (content.length > 1 && (first === 0 ? second < 0x80 : first === 0xff && second >= 0x80)) {
      this.fail(field, "integer not minimal", start);
    }
    return content;
  }

  /** Reads a BOOLEAN, whose content must be 0 or 255 (X.690 11.1). */
  boolean(field: string): boolean {
    const { content, start } = this.expect(TAG.boolean, field);
    const value = content[0];
    if (content.length !== 1 || (value !== 0 && value !== 0xff)) {
      this.fail(field, "bad boolean", start);
    }
    return value === 0xff;
  }

  /** Reads an OBJECT IDENTIFIER and returns it as dotted decimals. */
  oid(field: string): string {
    const { content, start } = this.expect(TAG.oid, field);
    if (content.length === 0) this.fail(field, "empty object identifier", start);
    if (content.length > MAX_OID_BYTES) this.fail(field, "object identifier too long", start);
    if ((content[content.length - 1] ?? 0) >= 0x80) {
      this.fail(field, "object identifier cut short", start);
    }
    let text = "";
    for (let at = 0; at < content.length;) {
      if (content[at] === 0x80) this.fail(field, "object identifier not minimal", start);
      let end = at;
      while ((content[end] ?? 0) >= 0x80) end++;
      const arc = arcOf(content.subarray(at, ++end));
      at = end;
      if (text !== "") text += `.${arc}`;
      else {
        // The first two arcs share a number (X.690 8.19.4).
        const top = arc < 40 ? 0 : arc < 80 ? 1 : 2;
        text = `${top}.${typeof arc === "bigint" ? arc - 80n : arc - top * 40}`;
      }
    }
    return text;
  }
}

/** Decodes one arc of an object identifier, 7 bits per byte. Only a large arc is a BigInt, which
 *  is ten times slower. */
function arcOf(bytes: Uint8Array): number | bigint {
  if (bytes.length <= 7) return bytes.reduce((arc, byte) => arc * 128 + (byte & 0x7f), 0);
  return bytes.reduce((arc, byte) => (arc << 7n) | BigInt(byte & 0x7f), 0n);
}

/** An INTEGER's content as a decimal number. The caller caps its length. */
export function decimal(content: Uint8Array): string {
  let value = 0n;
  for (const byte of content) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(content.length * 8, value).toString();
}
