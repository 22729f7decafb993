/** What monitor and workers say to each other: one table, a row for each kind of message. Encoder, decoder,
 *  caps of frames, types and the states in which a worker may say something all come from its rows. Pure:
 *  no I/O.
 *
 *  A worker may have been taken over: everything that it says has a cap, and anything else is a
 *  `DecodeError`, which ends it. The monitor is believed. What a message does is in the two records of
 *  handlers, monitor/requests.ts and worker/worker.ts, which have one for each kind. */

import { MAX_RATE, MAX_RATE_SECONDS } from "../admit/limits.ts";
import { DecodeError, type Reader } from "../codec/bytes.ts";
import type { Introduction } from "./counts.ts";
import {
  address,
  block,
  type CappedFields,
  EncodeError,
  type Fields,
  flag,
  group,
  id,
  json,
  MAX_TRUSTED,
  numbers,
  oneOf,
  readFields,
  sizeOf,
  text,
  u32,
  u8,
  upTo,
  type Values,
  variables,
  words,
  writeFields,
} from "./fields.ts";
import { Frame } from "./frame.ts";
import type { HandedFile, SentFile } from "./handed_files.ts";
import { ACTIVE, SERVED, type WorkerState } from "./worker_states.ts";

/** Who sends a message. */
export type Side = "worker" | "monitor";

export interface MessageRow<S extends Side, F extends Fields> {
  readonly from: S;
  /** The number of the kind: a worker's are up to 63, the monitor's from 64. */
  readonly number: number;
  /** The states in which a worker may send it (OpenSSH's monitor is the model). */
  readonly states: readonly WorkerState[];
  /** The state after it, if that is another. */
  readonly then: WorkerState | undefined;
  /** In the order in which they are sent. */
  readonly fields: F;
  /** Longest frame, in bytes, without its length. */
  readonly max: number;
}

/** A row for what a worker asks or reports. `max`: less than what its fields can add up to. */
function worker<F extends CappedFields>(
  number: number,
  states: readonly WorkerState[],
  fields: F,
  { then, max = 1 + sizeOf(fields) }: { then?: WorkerState; max?: number } = {},
): MessageRow<"worker", F> {
  return { from: "worker", number, states, then, fields, max };
}

/** A row for what the monitor says. */
function monitor<F extends Fields>(number: number, fields: F): MessageRow<"monitor", F> {
  const max = Math.min(1 + sizeOf(fields), MAX_TRUSTED);
  return { from: "monitor", number, states: [], then: undefined, fields, max };
}

/** Bytes of the longest host name of a peer (see `isHostName` in admit/names.ts): the monitor looks for each
 *  of its parts in the rules. */
const MAX_HOST = 253;
/** Bytes of a rule's key, which the monitor keeps as long as the connection; see worker/remote_limiter.ts. */
const MAX_NETWORK = 256;
/** A chain of client certificates in PEM: the TLS library takes 100 KB of them. */
const MAX_START = 1 << 20;
/** Bytes of an IP address as text. */
const MAX_IP = 64;

/** MAXCONIP and the like: a count of 0 is no limit, and an empty key no network. */
const limits = group({
  perAddress: u32,
  rate: group({ count: upTo(MAX_RATE), seconds: upTo(MAX_RATE_SECONDS) }),
  network: group({ key: text(MAX_NETWORK), count: u32 }),
});

/** What every message about programs ends with: programs that run, whether no slot is free, whether
 *  somebody waits for one, and how many the worker gets with it. */
const slots = { running: u32, full: flag, wanted: flag, granted: u32 };

/** Ids are the worker's own, and grow. Names are mirrored: START is answered by STARTED or REFUSED. */
export const MESSAGES = {
  /** It has prepared itself, and has no rights any more: LISTEN follows. */
  READY: worker(1, ["starting"], {}, { then: "listening" }),
  /** Why it cannot start. */
  FATAL: worker(2, ["starting", "listening"], {
    code: u8,
    message: words(8000),
    hint: words(8000),
  }),
  /** The address of a host that was given by name. */
  RESOLVED: worker(3, ["starting"], { ip: text(MAX_IP) }),
  /** A program. `ruled`: rules have set variables, which the monitor looks up in its own copy. */
  START: worker(4, ACTIVE, {
    id,
    delayed: flag,
    ruled: flag,
    ip: text(MAX_IP),
    host: text(MAX_HOST),
    info: text(1024),
    variables,
  }, { max: MAX_START }),
  /** A START is not wanted any more. */
  CANCEL: worker(5, ACTIVE, { id }),
  /** A signal for a program. */
  KILL: worker(6, SERVED, { id, signal: oneOf(["SIGTERM", "SIGKILL"]) }),
  /** A connection is to be counted; VERDICT follows if `limits` has a limit. */
  TAKE: worker(7, ACTIVE, { id, address, limits }),
  /** More limits of a connection that is counted; VERDICT follows. */
  CHECK: worker(8, ACTIVE, { id, limits }),
  /** A connection that was counted has ended. */
  RELEASE: worker(9, SERVED, { id }),
  /** It asks for no program any more. */
  SETTLED: worker(10, ["left"], {}, { then: "settled" }),
  /** What it has counted: for GATHER `id`, or unasked and 0. */
  COUNTS: worker(11, SERVED, { id, counts: numbers }),
  /** It accepts connections. */
  SERVING: worker(12, ["listening"], {}, { then: "serving" }),
  /** What it has counted, and a request for what all have: TOTALS `id`. */
  SCRAPE: worker(13, SERVED, { id, counts: numbers }),
  /** It listens where metrics are fetched. */
  PLACED: worker(14, ["starting"], {}),
  /** Its copy of the listening socket is closed. */
  LEFT: worker(15, ["draining"], {}, { then: "left" }),
  /** It had no room for files that were handed over: it keeps what it has, and asks for them again. */
  LOST: worker(16, ACTIVE, {}),
  /** A handshake waits for a slot. */
  WANT: worker(17, ACTIVE, {}),
  /** Slots that it does not use. */
  RETURN: worker(18, SERVED, { count: u32 }),
  /** It can use all files it has been handed, in so many messages: FILES and KEPT. */
  GOOD: worker(19, ["starting", "listening", ...SERVED], { count: u32 }),

  /** Everything it needs to start: an `Init` (init.ts). */
  INIT: monitor(64, { init: json<unknown>() }),
  /** Files as they are now; a descriptor comes beside for each that is open. */
  FILES: monitor(65, { files: json<readonly SentFile[]>() }),
  /** The listening socket comes beside it. */
  LISTEN: monitor(66, {}),
  /** Our ends of the program's pipes come beside it. */
  STARTED: monitor(67, { id, pid: u32, delayed: flag, ...slots }),
  REFUSED: monitor(68, { id, why: words(4096), ...slots }),
  /** `status`: as wait(2) has it. */
  EXITED: monitor(69, { id, status: u32, ...slots }),
  SLOTS: monitor(70, slots),
  /** `count`: the limit that refused the connection. */
  VERDICT: monitor(71, {
    id,
    refusal: oneOf(["none", "address", "rate", "network"]),
    count: u32,
  }),
  /** Read everything again, changed or not; FILES follow. */
  RELOAD: monitor(72, {}),
  DRAIN: monitor(73, {}),
  /** COUNTS `id` is wanted. */
  GATHER: monitor(74, { id }),
  /** To the worker that answers scrapers; a listening socket comes beside it if `socket` says so. */
  METRICS: monitor(75, { introduction: json<Introduction>() }),
  /** What holds for all workers, for SCRAPE `id`: `Totals` in counts.ts. */
  TOTALS: monitor(76, {
    id,
    counts: numbers,
    workers: u32,
    programs: u32,
    silent: u32,
    ended: group({ signal: u32, breach: u32, exit: u32 }),
  }),
  /** End, and all connections with you. */
  END: monitor(77, {}),
  /** A file as it was when workers could use it last. `whole`: `bytes` are what is in it. */
  KEPT: monitor(78, { whole: flag, bytes: block, file: json<HandedFile>() }),
} as const;

type Table = typeof MESSAGES;

/** The names of the kinds that one side sends. */
export type MessageKind<S extends Side> = {
  [K in keyof Table]: Table[K]["from"] extends S ? K : never;
}[keyof Table];

/** The message of one kind. */
export type MessageOf<K extends keyof Table> = { readonly kind: K } & Values<Table[K]["fields"]>;

/** What one side says. */
export type Message<S extends Side> = { [K in MessageKind<S>]: MessageOf<K> }[MessageKind<S>];
export type WorkerMessage = Message<"worker">;
export type MonitorMessage = Message<"monitor">;

/** What the other side does with each kind: complete by type. */
export type Handlers<S extends Side, Rest extends readonly unknown[] = []> = {
  readonly [K in MessageKind<S>]: (message: MessageOf<K>, ...rest: Rest) => void;
};

/** See `MESSAGES.TAKE`. */
export type WireLimits = MessageOf<"TAKE">["limits"];

/** What every message about programs has. */
export type SlotCounts = Values<typeof slots>;

/** The messages of one side as frames. */
export class Codec<S extends Side> {
  readonly #byNumber = new Map<
    number,
    { readonly kind: string; readonly row: MessageRow<Side, Fields> }
  >();

  constructor(readonly from: S) {
    for (const [kind, row] of Object.entries(MESSAGES)) {
      if (row.from === from) this.#byNumber.set(row.number, { kind, row });
    }
  }

  /** Bytes of the longest frame of a kind, without its length. Throws `DecodeError` for a kind that this
   *  side does not send. */
  readonly maxLength = (number: number): number => this.#find(number).row.max;

  /** Throws `EncodeError` for what the other side would refuse. */
  encode(message: Message<S>): Uint8Array<ArrayBuffer> {
    const { number, fields, max } = MESSAGES[message.kind as keyof Table] as MessageRow<S, Fields>;
    const frame = new Frame(number);
    writeFields(frame, fields, message);
    const bytes = frame.done();
    if (bytes.length - 4 > max) {
      throw new EncodeError(`a message of ${bytes.length} bytes, where ${max} are the most`);
    }
    return bytes;
  }

  /** Throws `DecodeError`, for bytes left over too. */
  decode(number: number, body: Reader): Message<S> {
    const { kind, row } = this.#find(number);
    const message = readFields(body, row.fields, { kind });
    if (body.left > 0) {
      throw new DecodeError(`privsep: end: ${body.left} bytes left at byte ${body.at}`);
    }
    return message as Message<S>;
  }

  #find(number: number): { readonly kind: string; readonly row: MessageRow<Side, Fields> } {
    const found = this.#byNumber.get(number);
    if (!found) throw new DecodeError(`privsep: kind: no message ${number} at byte 0`);
    return found;
  }
}

export const FROM_WORKER: Codec<"worker"> = new Codec("worker");
export const FROM_MONITOR: Codec<"monitor"> = new Codec("monitor");

/** The state of a worker after a message. Throws `DecodeError` for one that is not permitted in `state`. */
export function stateAfter(state: WorkerState, kind: MessageKind<"worker">): WorkerState {
  const { states, then }: MessageRow<"worker", Fields> = MESSAGES[kind];
  if (states.includes(state)) return then ?? state;
  throw new DecodeError(`privsep: kind: no ${kind} while ${state}`);
}
