/** Frames between monitor and workers. Pure: no I/O. A frame is its length (32 bits, big-endian,
 *  not counting itself), the number of its kind (8 bits) and its fields. The kinds are in
 *  messages.ts, the fields in fields.ts. */

import { DecodeError, Reader } from "../codec/bytes.ts";

const ENCODER = new TextEncoder();

/** Builds one frame, field by field. */
export class Frame {
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  /** Where the next byte goes. Starts after the length, which is written last. */
  #at = 4;

  /** `kind`: the number of the message's kind. */
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

  /** Appends the length of `text` in UTF-8, then the text. Returns the length. */
  text(text: string): number {
    this.#room(4 + 3 * text.length); // a UTF-16 unit has at most three bytes in UTF-8
    const { written } = ENCODER.encodeInto(text, this.#bytes.subarray(this.#at + 4));
    this.#view.setUint32(this.#at, written);
    this.#at += 4 + written;
    return written;
  }

  /** Returns the frame as it is sent. */
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

/** Cuts a stream into frames. Throws `DecodeError` for a frame of an unknown kind, or one too long
 *  for its kind, before the whole frame has arrived. */
export class Frames {
  /** The beginning of an incomplete frame, in the first `#length` bytes. The buffer at least
   *  doubles when it is full, so that a frame that arrives byte by byte is not copied as a whole
   *  for each byte. */
  #rest: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** `maxLength` returns the maximum length of a frame of a kind, in bytes without the length
   *  field. It throws `DecodeError` for a kind that the other side does not send. */
  constructor(readonly maxLength: (kind: number) => number) {}

  /** Each yielded body is valid only until the next one. */
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
    // A copy: a view would keep the whole chunk, which may be much larger.
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
