/** What monitor and workers say to each other: the fields of each kind of frame. Pure: no I/O. Names are
 *  mirrored: a worker's START is answered by STARTED or REFUSED.
 *
 *  The monitor reads with `workerMessage`: a worker may have been taken over, so everything has a cap,
 *  and anything else is a `DecodeError`, which ends the worker. */

import { MAX_RATE, MAX_RATE_SECONDS } from "../admit/limits.ts";
import { DecodeError, Reader } from "../codec/bytes.ts";
import {
  ENCODER,
  Frame,
  KIND,
  MAX_START,
  readFlag,
  readId,
  readNumber,
  readNumbers,
  readText,
} from "./frame.ts";

/** What Linux takes for one string of an environment (MAX_ARG_STRLEN), and far more variables than a
 *  connection has. */
const MAX_VALUE = 131_072;
const MAX_NAME = 256;
/** Bytes of a rule's key, which the monitor keeps as long as the connection; see worker/monitor_client.ts. */
const MAX_NETWORK = 256;
const MAX_VARIABLES = 2048;

/** The host name of a peer (see `isHostName` in admit/names.ts): the monitor looks for each of its parts in
 *  the rules. */
const MAX_HOST = 253;

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
