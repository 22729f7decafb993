/** What monitor and worker say to each other over a stream socket: frames, their kinds, and the bytes
 *  of each. Pure: no I/O. Names are mirrored: a worker's START is answered by STARTED or REFUSED.
 *
 *  The monitor reads with `workerMessage`: the worker may have been taken over, so everything has a
 *  cap, and what is odd is a `DecodeError`, which costs the worker its life. A frame is its length
 *  (32 bits, big-endian, without itself), its kind (8 bits) and its fields. */

import { MAX_RATE, MAX_RATE_SECONDS } from "../admit/limits.ts";
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
const MAX_START = 1 << 20;
const MAX_FRAME: Readonly<Record<number, number>> = {
  [KIND.START]: MAX_START,
  [KIND.COUNTS]: 1 << 16,
  [KIND.SCRAPE]: 1 << 16,
  [KIND.FATAL]: 16_384,
};
const MAX_OTHER = 4096;

/** Longest frame of the monitor: options, environment, lists of files. */
const MAX_MONITOR_FRAME = 8 << 20;

/** What Linux takes for one string of an environment (MAX_ARG_STRLEN), and far more variables than a
 *  connection has. */
const MAX_VALUE = 131_072;
const MAX_NAME = 256;
/** Bytes of a rule's key, which the monitor keeps as long as the connection; see client.ts. */
const MAX_NETWORK = 256;
const MAX_VARIABLES = 2048;
/** More than ten times what there is to count. */
const MAX_NUMBERS = 4096;

/** The host name of a peer (see `isHostName` in admit/names.ts): the monitor looks for each of its parts in
 *  the rules. */
const MAX_HOST = 253;

/** Ids are counted up as long as a worker lives: 32 bits are used up in 50 days of 1000 connections a
 *  second, the integers of a number never. The upper half of the largest one. */
const MAX_ID_HIGH = 0x1fffff;

/** MAXCONIP and the like as they travel. */
export interface WireAsk {
  perAddress: number;
  /** MAXCONRATE; a count of 0 for none. */
  rate: { count: number; seconds: number };
  /** MAXCONNET; an empty key for none. */
  network: { key: string; count: number };
}

/** What a worker asks for. Ids are its own, and grow. */
export type WorkerMessage =
  | { kind: typeof KIND.READY }
  | { kind: typeof KIND.FATAL; code: number; message: string; hint: string }
  /** The address of a host that was given by name. */
  | { kind: typeof KIND.RESOLVED; ip: string }
  | {
    kind: typeof KIND.START;
    id: number;
    delayed: boolean;
    /** Rules have set variables: the monitor looks them up in its own copy. */
    ruled: boolean;
    ip: string;
    host: string;
    info: string;
    variables: ReadonlyMap<string, string>;
  }
  | { kind: typeof KIND.CANCEL; id: number }
  | { kind: typeof KIND.KILL; id: number; signal: "SIGTERM" | "SIGKILL" }
  | { kind: typeof KIND.TAKE; id: number; address: string; ask: WireAsk }
  | { kind: typeof KIND.CHECK; id: number; ask: WireAsk }
  | { kind: typeof KIND.RELEASE; id: number }
  /** A handshake waits for a place. */
  | { kind: typeof KIND.WANT }
  /** Places that it does not use. */
  | { kind: typeof KIND.RETURN; count: number }
  | { kind: typeof KIND.SERVING }
  /** Its copy of the listening socket is closed. */
  | { kind: typeof KIND.LEFT }
  | { kind: typeof KIND.SETTLED }
  /** It had no room for files that were handed over: it keeps what it has, and asks for them again. */
  | { kind: typeof KIND.LOST }
  /** It can use all files it has been handed, in so many messages: FILES and KEPT. */
  | { kind: typeof KIND.GOOD; count: number }
  /** What it has counted: for GATHER `id`, or unasked and 0. */
  | { kind: typeof KIND.COUNTS; id: number; counts: Float64Array }
  /** What it has counted, and a request for what all have: TOTALS `id`. */
  | { kind: typeof KIND.SCRAPE; id: number; counts: Float64Array }
  /** It listens where metrics are fetched. */
  | { kind: typeof KIND.PLACED };

const ENCODER = new TextEncoder();
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

function readFlag(body: Reader, field: string): boolean {
  const value = body.u8(field);
  if (value > 1) throw new DecodeError(`privsep: ${field}: ${value} at byte ${body.at - 1}`);
  return value === 1;
}

function readVariables(body: Reader): Map<string, string> {
  const count = body.u32("variables");
  if (count > MAX_VARIABLES) {
    throw new DecodeError(`privsep: variables: ${count} of them at byte ${body.at}`);
  }
  const variables = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const name = readText(body, "variable name", MAX_NAME);
    if (variables.has(name)) {
      throw new DecodeError(`privsep: variable name: there twice at byte ${body.at}`);
    }
    variables.set(name, readText(body, "variable value", MAX_VALUE));
  }
  return variables;
}

function readAsk(body: Reader): WireAsk {
  return {
    perAddress: body.u32("per address"),
    rate: {
      count: readNumber(body, "rate count", MAX_RATE),
      seconds: readNumber(body, "rate seconds", MAX_RATE_SECONDS),
    },
    network: { key: readText(body, "network", MAX_NETWORK), count: body.u32("network count") },
  };
}

function readNumber(body: Reader, field: string, max: number): number {
  const n = body.u32(field);
  if (n > max) throw new DecodeError(`privsep: ${field}: ${n} at byte ${body.at - 4}`);
  return n;
}

export function writeAsk(frame: Frame, { perAddress, rate, network }: WireAsk): Frame {
  return frame.u32(perAddress).u32(rate.count).u32(rate.seconds)
    .text(network.key).u32(network.count);
}

/** Bytes of an address as `addressKey` writes it. */
const ADDRESS = 16;

function readAddress(body: Reader): string {
  return String.fromCharCode(...body.take(ADDRESS, "address"));
}

/** What a worker says. Throws `DecodeError`: for an unknown kind, and for bytes left over, too. */
export function workerMessage(kind: number, body: Reader): WorkerMessage {
  const message = decodeWorker(kind, body);
  if (body.left > 0) {
    throw new DecodeError(`privsep: end: ${body.left} bytes left at byte ${body.at}`);
  }
  return message;
}

function decodeWorker(kind: number, body: Reader): WorkerMessage {
  switch (kind) {
    case KIND.READY:
    case KIND.SERVING:
    case KIND.LEFT:
    case KIND.LOST:
    case KIND.SETTLED:
    case KIND.PLACED:
    case KIND.WANT:
      return { kind };
    case KIND.RETURN:
    case KIND.GOOD:
      return { kind, count: body.u32("count") };
    case KIND.FATAL:
      return {
        kind,
        code: body.u8("code"),
        message: readText(body, "message", 8000),
        hint: readText(body, "hint", 8000),
      };
    case KIND.RESOLVED:
      return { kind, ip: readText(body, "address", 64) };
    case KIND.START:
      return {
        kind,
        id: readId(body, "id"),
        delayed: readFlag(body, "delayed"),
        ruled: readFlag(body, "ruled"),
        ip: readText(body, "ip", 64),
        host: readText(body, "host", MAX_HOST),
        info: readText(body, "info", 1024),
        variables: readVariables(body),
      };
    case KIND.CANCEL:
    case KIND.RELEASE:
      return { kind, id: readId(body, "id") };
    case KIND.KILL: {
      const id = readId(body, "id");
      return { kind, id, signal: readFlag(body, "signal") ? "SIGKILL" : "SIGTERM" };
    }
    case KIND.TAKE:
      return { kind, id: readId(body, "id"), address: readAddress(body), ask: readAsk(body) };
    case KIND.CHECK:
      return { kind, id: readId(body, "id"), ask: readAsk(body) };
    case KIND.COUNTS:
    case KIND.SCRAPE:
      return { kind, id: readId(body, "id"), counts: readNumbers(body, "counts") };
    default:
      throw new DecodeError(`privsep: kind: no request ${kind} at byte 0`);
  }
}

/** The frame of a message, on the worker's side. Throws an Error for a START that the monitor would not
 *  take: what a peer has made too large costs it its connection, and not the worker its life. */
export function encodeWorker(message: WorkerMessage): Uint8Array<ArrayBuffer> {
  const frame = new Frame(message.kind);
  switch (message.kind) {
    case KIND.FATAL:
      frame.u8(message.code).text(cut(message.message)).text(cut(message.hint));
      break;
    case KIND.RESOLVED:
      frame.text(message.ip);
      break;
    case KIND.START: {
      const { id, delayed, ruled, ip, host, info, variables } = message;
      checkVariables(variables);
      frame.id(id).u8(+delayed).u8(+ruled).text(ip).text(host).text(info).u32(variables.size);
      for (const [name, value] of variables) frame.text(name).text(value);
      const bytes = frame.done();
      if (bytes.length - 4 > MAX_START) throw new Error(TOO_MUCH);
      return bytes;
    }
    case KIND.RETURN:
    case KIND.GOOD:
      frame.u32(message.count);
      break;
    case KIND.CANCEL:
    case KIND.RELEASE:
      frame.id(message.id);
      break;
    case KIND.KILL:
      frame.id(message.id).u8(message.signal === "SIGKILL" ? 1 : 0);
      break;
    case KIND.TAKE:
      frame.id(message.id)
        .bytes(Uint8Array.from(message.address, (c) => c.charCodeAt(0)));
      writeAsk(frame, message.ask);
      break;
    case KIND.CHECK:
      writeAsk(frame.id(message.id), message.ask);
      break;
    case KIND.COUNTS:
    case KIND.SCRAPE:
      frame.id(message.id).numbers(message.counts);
      break;
  }
  return frame.done();
}

const TOO_MUCH = "unable to ask for a program: too much is known of its client";

function checkVariables(variables: ReadonlyMap<string, string>): void {
  if (variables.size > MAX_VARIABLES) throw new Error(TOO_MUCH);
  for (const value of variables.values()) {
    // Only where it could be too long is it worth its bytes.
    if (3 * value.length > MAX_VALUE && ENCODER.encode(value).length > MAX_VALUE) {
      throw new Error(TOO_MUCH);
    }
    if (value.includes("\0")) throw new Error("unable to ask for a program: a NUL in a variable");
  }
}

function cut(text: string): string {
  return text.replaceAll("\0", "?").slice(0, 2000);
}

/** Refusal kinds by number, for VERDICT. */
export const REFUSALS = ["address", "rate", "network"] as const;
