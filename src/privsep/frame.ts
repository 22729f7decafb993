/** Frames between monitor and workers: their kinds, their caps, and the fields of which they are made.
 *  Pure: no I/O. A frame is its length (32 bits, big-endian, without itself), its kind (8 bits) and its
 *  fields. Which fields a kind has is in messages.ts. */

import { DecodeError, Reader } from "../codec/bytes.ts";

/** Kinds of frames: a worker's up to 63, the monitor's from 64. */
export const KIND = {
  READY: 1,
  FATAL: 2,
  RESOLVED: 3,
  START: 4,
  CANCEL: 5,
  KILL: 6,
  TAKE: 7,
  CHECK: 8,
  RELEASE: 9,
  SETTLED: 10,
  COUNTS: 11,
  SERVING: 12,
  SCRAPE: 13,
  PLACED: 14,
  LEFT: 15,
  LOST: 16,
  WANT: 17,
  RETURN: 18,
  GOOD: 19,
  INIT: 64,
  FILES: 65,
  LISTEN: 66,
  STARTED: 67,
  REFUSED: 68,
  EXITED: 69,
  PLACES: 70,
  VERDICT: 71,
  RELOAD: 72,
  DRAIN: 73,
  GATHER: 74,
  METRICS: 75,
  TOTALS: 76,
  END: 77,
  KEPT: 78,
} as const;

/** Longest frame of a worker, in bytes, by kind: a chain of client certificates in PEM for START (the
 *  TLS library takes 100 KB of them), a few hundred numbers for COUNTS. */
export const MAX_START = 1 << 20;

const MAX_FRAME: Readonly<Record<number, number>> = {
  [KIND.START]: MAX_START,
  [KIND.COUNTS]: 1 << 16,
  [KIND.SCRAPE]: 1 << 16,
  [KIND.FATAL]: 16_384,
};

const MAX_OTHER = 4096;

/** Longest frame of the monitor: options, environment, lists of files. */
const MAX_MONITOR_FRAME = 8 << 20;

/** More than ten times what there is to count. */
const MAX_NUMBERS = 4096;

/** Ids are counted up as long as a worker lives: 32 bits are used up in 50 days of 1000 connections a
 *  second, the integers of a number never. The upper half of the largest one. */
const MAX_ID_HIGH = 0x1fffff;

export const ENCODER = new TextEncoder();

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Builds one frame, field by field. */
export class Frame {
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  /** Behind the length, which is written last. */
  #at = 4;

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

  /** See `readId`. */
  id(n: number): this {
    return this.u32(Math.floor(n / 2 ** 32)).u32(n >>> 0);
  }

  bytes(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  /** With its length before it. */
  text(text: string): this {
    this.#room(4 + 3 * text.length); // UTF-8 of a UTF-16 unit has three bytes at most
    const { written } = ENCODER.encodeInto(text, this.#bytes.subarray(this.#at + 4));
    this.#view.setUint32(this.#at, written);
    this.#at += 4 + written;
    return this;
  }

  /** With their count before them, in this machine's byte order. */
  numbers({ length, buffer, byteOffset, byteLength }: Float64Array): this {
    return this.u32(length).bytes(new Uint8Array(buffer, byteOffset, byteLength));
  }

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

/** Cuts a stream into frames. Throws `DecodeError` for one that is too long for its kind, before it has
 *  come. */
export class Frames {
  /** The beginning of a frame, in the first `#length` bytes: room grows twofold, so that one that comes
   *  byte by byte is not copied as a whole for each of them. */
  #rest: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** `from`: whose frames these are. */
  constructor(readonly from: "worker" | "monitor") {}

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
      const max = this.from === "monitor" ? MAX_MONITOR_FRAME : MAX_FRAME[kind] ?? MAX_OTHER;
      if (length < 1 || length > max) {
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

/** An id, up to 53 bits. */
export function readId(body: Reader, field: string): number {
  const high = body.u32(field);
  if (high > MAX_ID_HIGH) throw new DecodeError(`privsep: ${field}: too large at byte ${body.at}`);
  return high * 2 ** 32 + body.u32(field);
}

/** A text of at most `max` bytes, without a NUL. */
export function readText(body: Reader, field: string, max: number): string {
  const length = body.u32(field);
  if (length > max) throw new DecodeError(`privsep: ${field}: ${length} bytes at byte ${body.at}`);
  const bytes = body.take(length, field);
  if (bytes.includes(0)) throw new DecodeError(`privsep: ${field}: holds a NUL at byte ${body.at}`);
  try {
    return DECODER.decode(bytes);
  } catch {
    throw new DecodeError(`privsep: ${field}: not UTF-8 at byte ${body.at}`);
  }
}

/** See `Frame.numbers`. Any numbers at all, so whoever takes them from a worker must look. */
export function readNumbers(body: Reader, field: string): Float64Array {
  const count = body.u32(field);
  if (count > MAX_NUMBERS) {
    throw new DecodeError(`privsep: ${field}: ${count} numbers at byte ${body.at}`);
  }
  const bytes = new Uint8Array(body.take(8 * count, field)); // Buffer's `slice` would not copy
  return new Float64Array(bytes.buffer);
}

export function readFlag(body: Reader, field: string): boolean {
  const value = body.u8(field);
  if (value > 1) throw new DecodeError(`privsep: ${field}: ${value} at byte ${body.at - 1}`);
  return value === 1;
}

export function readNumber(body: Reader, field: string, max: number): number {
  const n = body.u32(field);
  if (n > max) throw new DecodeError(`privsep: ${field}: ${n} at byte ${body.at - 4}`);
  return n;
}
