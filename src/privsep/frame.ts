/** Frames between monitor and workers. Pure: no I/O. A frame is its length (32 bits, big-endian, without
 *  itself), the number of its kind (8 bits) and its fields. The kinds are in messages.ts, the fields of
 *  which they are made in fields.ts. */

import { DecodeError, Reader } from "../codec/bytes.ts";

const ENCODER = new TextEncoder();

/** Builds one frame, field by field. */
export class Frame {
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  /** Behind the length, which is written last. */
  #at = 4;

  /** `kind`: its number. */
  constructor(kind: number) {
    this.u8(kind);
  }

  u8(n: number): this {
    this.#room(1);
    this.#bytes[this.#at++] = n;
    return this;
  }

  u32(n: number): this {
    this.#room(4);
    this.#view.setUint32(this.#at, n);
    this.#at += 4;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  /** UTF-8, with its length before it, which is returned. */
  text(text: string): number {
    this.#room(4 + 3 * text.length); // UTF-8 of a UTF-16 unit has three bytes at most
    const { written } = ENCODER.encodeInto(text, this.#bytes.subarray(this.#at + 4));
    this.#view.setUint32(this.#at, written);
    this.#at += 4 + written;
    return written;
  }

  /** The frame as it is sent. */
  done(): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(0, this.#at - 4);
    return this.#bytes.subarray(0, this.#at);
  }

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#at + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Cuts a stream into frames. Throws `DecodeError` for one that is too long for its kind or of no known
 *  kind, before all of it has come. */
export class Frames {
  /** The beginning of a frame, in the first `#length` bytes: room grows twofold, so that one that comes
   *  byte by byte is not copied as a whole for each of them. */
  #rest: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** `maxLength`: bytes of the longest frame of a kind, without its length; throws `DecodeError` for a kind
   *  that the other side does not send. */
  constructor(readonly maxLength: (kind: number) => number) {}

  /** What it yields is good until the next one. */
  *push(chunk: Uint8Array): Iterable<{ kind: number; body: Reader }> {
    const kept = this.#length > 0;
    if (kept) this.#append(chunk);
    let bytes = kept ? this.#rest.subarray(0, this.#length) : chunk;
    const all = bytes.length;
    while (bytes.length >= 5) {
      const head = new Reader(bytes, "privsep");
      const length = head.u32("length");
      const kind = head.u8("kind");
      if (length < 1 || length > this.maxLength(kind)) {
        throw new DecodeError(`privsep: length: ${length} in a frame of kind ${kind} at byte 0`);
      }
      if (bytes.length < 4 + length) break;
      const body = bytes.subarray(5, 4 + length);
      bytes = bytes.subarray(4 + length);
      yield { kind, body: new Reader(body, "privsep") };
    }
    if (kept && bytes.length === all) return;
    // A copy: no view of a chunk that is much larger.
    this.#rest = bytes.slice();
    this.#length = bytes.length;
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#rest.length) {
      const more = new Uint8Array(Math.max(length, 2 * this.#rest.length));
      more.set(this.#rest.subarray(0, this.#length));
      this.#rest = more;
    }
    this.#rest.set(chunk, this.#length);
    this.#length = length;
  }
}
