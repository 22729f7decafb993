/** A bounds-checked reader, and the conversions that the codecs share. Pure: no I/O.
 *  A read past the end throws a `DecodeError` that names the format, the field, the reason and
 *  the offset, so that a log line says what was wrong without showing the peer's bytes. */

/** Input that a codec refuses. The message reads `format: field: reason at byte n`. */
export class DecodeError extends Error {
  /** Printed before the message. */
  override name = "DecodeError";
}

/** Reads numbers (big-endian, or little-endian) and slices, front to back. */
export class Reader {
  readonly #view: DataView;

  /** `format` begins every error message; `at` is the offset of the first byte to read. */
  constructor(readonly bytes: Uint8Array, readonly format: string, public at = 0) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Moves past `n` bytes and returns where they began. */
  #advance(n: number, field: string): number {
    if (n > this.left) {
      throw new DecodeError(
        `${this.format}: ${field}: needs ${n} bytes, ${
          Math.max(this.left, 0)
        } left at byte ${this.at}`,
      );
    }
    const start = this.at;
    this.at += n;
    return start;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field));
  }

  u24(field: string): number {
    const at = this.#advance(3, field);
    return this.#view.getUint8(at) << 16 | this.#view.getUint16(at + 1);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field));
  }

  u32le(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), true);
  }

  /** Steps over `n` bytes. */
  skip(n: number, field: string): void {
    this.#advance(n, field);
  }

  /** A view of the next `n` bytes, not a copy. */
  take(n: number, field: string): Uint8Array {
    const start = this.#advance(n, field);
    return this.bytes.subarray(start, start + n);
  }

  /** Reads the next vector: its length in `width` bytes, then its bytes, of which a view is
   *  returned (RFC 8446 3.4). */
  vector(width: 1 | 2 | 3, field: string): Uint8Array {
    const length = `length of ${field}`;
    return this.take(
      width === 1 ? this.u8(length) : width === 2 ? this.u16(length) : this.u24(length),
      field,
    );
  }

  /** A reader for the content of the next vector. Its offsets are those of this reader. */
  inner(width: 1 | 2 | 3, field: string): Reader {
    const bytes = this.vector(width, field);
    return new Reader(this.bytes.subarray(0, this.at), this.format, this.at - bytes.length);
  }

  /** Throws if bytes are left. */
  end(field: string): void {
    if (this.left === 0) return;
    throw new DecodeError(`${this.format}: ${field}: ${this.left} bytes more at byte ${this.at}`);
  }
}

/** The bytes of `parts`, one after another. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** True if both hold the same bytes. Not constant-time: do not use for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Maximum number of arguments for one call of `String.fromCharCode`. They are passed on the
 *  stack. */
const AT_ONCE = 4096;

/** One character per byte (ISO 8859-1), both ways without loss. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += AT_ONCE) {
    const part = bytes.subarray(at, at + AT_ONCE);
    text += String.fromCharCode.apply(undefined, part as unknown as number[]); // faster than spread
  }
  return text;
}

/** Converts each character below U+0100 to one byte; any other character becomes `?`. */
export function fromLatin1(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    bytes[i] = code < 0x100 ? code : 0x3f;
  }
  return bytes;
}

const DIGITS = "0123456789abcdef";

/** Lower-case hex, two digits a byte. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += `${DIGITS[byte >> 4]}${DIGITS[byte & 15]}`;
  return text;
}
