/** The messages between monitor and workers: one table, with a row for each kind. Encoder and decoder
 *  (message_codec.ts), maximum lengths, types, and the states in which a worker may send a message
 *  all come from the rows. Pure: no I/O.
 *
 *  A worker may be compromised: each of its fields has a maximum size, and anything invalid is a
 *  `DecodeError`, which ends the worker. The monitor is trusted. Handlers are in two records, in
 *  monitor/requests.ts and worker/worker.ts, with one handler for each kind. */

import { MAX_RATE, MAX_RATE_SECONDS } from "../admit/limits.ts";
import { DecodeError } from "../codec/bytes.ts";
import type { Introduction } from "./counts.ts";
import {
  address,
  block,
  type CappedFields,
  type Fields,
  flag,
  group,
  id,
  json,
  MAX_TRUSTED,
  numbers,
  oneOf,
  sizeOf,
  text,
  u32,
  u8,
  upTo,
  type Values,
  variables,
  words,
} from "./fields.ts";
import type { HandedFile, SentFile } from "./handed_files.ts";
import type { RuleKind } from "../reason.ts";
import { ACTIVE_STATES, SERVED_STATES, type WorkerState } from "./worker_states.ts";

/** The sender of a message. */
export type Side = "worker" | "monitor";

export interface MessageRow<S extends Side, F extends Fields> {
  readonly from: S;
  /** The number of the kind: a worker's are up to 63, the monitor's from 64. */
  readonly number: number;
  /** The states in which a worker may send it (OpenSSH's monitor is the model). */
  readonly states: readonly WorkerState[];
  /** The state after the message, if it changes. */
  readonly then: WorkerState | undefined;
  /** In the order on the wire. */
  readonly fields: F;
  /** Longest frame, in bytes, without its length. */
  readonly max: number;
}

/** A row for a message from a worker. `max`: a lower limit than the sum over its fields. */
function worker<F extends CappedFields>(
  number: number,
  states: readonly WorkerState[],
  fields: F,
  { then, max = 1 + sizeOf(fields) }: { then?: WorkerState; max?: number } = {},
): MessageRow<"worker", F> {
  return { from: "worker", number, states, then, fields, max };
}

/** A row for a message from the monitor. */
function monitor<F extends Fields>(number: number, fields: F): MessageRow<"monitor", F> {
  const max = Math.min(1 + sizeOf(fields), MAX_TRUSTED);
  return { from: "monitor", number, states: [], then: undefined, fields, max };
}

/** Maximum length of a peer's host name, in bytes (see `isHostName` in admit/names.ts). The monitor
 *  looks up each of its suffixes in the rules. */
const MAX_HOST = 253;
/** Maximum length of a rule's key, in bytes. The monitor keeps it as long as the connection; see
 *  worker/remote_limiter.ts. */
const MAX_NETWORK = 256;
/** Maximum length of START, in bytes: the TLS library accepts 100 KB of client certificates. */
const MAX_START = 1 << 20;
/** Maximum length of an IP address as text. */
const MAX_IP = 64;

/** MAXCONIP, MAXCONRATE and MAXCONNET. A count of 0 is no limit, and an empty key no network. */
const limits = group({
  perAddress: u32,
  rate: group({ count: upTo(MAX_RATE), seconds: upTo(MAX_RATE_SECONDS) }),
  network: group({ key: text(MAX_NETWORK), count: u32 }),
});

/** The last fields of every message about programs: how many programs run, whether no slot is free,
 *  whether a worker waits for a slot, and how many slots this message grants. */
const slots = { running: u32, full: flag, wanted: flag, granted: u32 };

/** A `RuleResult` (admit/rulebook.ts) on the wire: the key of the rule as text, and null for a
 *  variable that the rule removes. */
export interface AccessVerdict {
  readonly allow: boolean;
  readonly env: readonly (readonly [name: string, value: string | null])[];
  readonly rule?: string;
  readonly kind?: RuleKind;
  readonly error?: string;
}

/** What a worker tells of a connection for which a program starts. `ruled`: rules have set variables,
 *  which the monitor takes from its own copy of the rules. */
const started = {
  ruled: flag,
  ip: text(MAX_IP),
  host: text(MAX_HOST),
  info: text(1024),
  variables,
};

/** The worker chooses ids, in increasing order; only the id of GATHER and COUNTS is the monitor's.
 *  START is answered by STARTED or REFUSED. */
export const MESSAGES = {
  /** The worker has prepared itself and given up its privileges. LISTEN follows. */
  READY: worker(1, ["starting"], {}, { then: "listening" }),
  /** Why the worker cannot start. */
  FATAL: worker(2, ["starting", "listening"], {
    code: u8,
    message: words(8000),
    hint: words(8000),
  }),
  /** The address of a host that was given by name. */
  RESOLVED: worker(3, ["starting"], { ip: text(MAX_IP) }),
  /** Asks for a program. */
  START: worker(4, ACTIVE_STATES, { id, delayed: flag, ...started }, { max: MAX_START }),
  /** Withdraws a START. */
  CANCEL: worker(5, ACTIVE_STATES, { id }),
  /** Sends a signal to a program. */
  KILL: worker(6, SERVED_STATES, { id, signal: oneOf(["SIGTERM", "SIGKILL"]) }),
  /** Counts a connection. VERDICT follows if `limits` has a limit. */
  TAKE: worker(7, ACTIVE_STATES, { id, address, limits }),
  /** Checks a counted connection against more limits. VERDICT follows. */
  CHECK: worker(8, ACTIVE_STATES, { id, limits }),
  /** A counted connection has ended. */
  RELEASE: worker(9, SERVED_STATES, { id }),
  /** The worker asks for no more programs. */
  SETTLED: worker(10, ["left"], {}, { then: "settled" }),
  /** The worker's counts: for GATHER `id`, or unasked with id 0. */
  COUNTS: worker(11, SERVED_STATES, { id, counts: numbers }),
  /** The worker accepts connections. */
  SERVING: worker(12, ["listening"], {}, { then: "serving" }),
  /** The worker's counts, and a request for the sums of all workers. TOTALS `id` follows. */
  SCRAPE: worker(13, SERVED_STATES, { id, counts: numbers }),
  /** The worker has bound the address of --metrics. */
  PLACED: worker(14, ["starting"], {}),
  /** The worker has closed its copy of the listening socket. */
  LEFT: worker(15, ["draining"], {}, { then: "left" }),
  /** The worker had no room for files that were handed over. It keeps the files that it has, and
   *  needs the lost ones again. */
  LOST: worker(16, ACTIVE_STATES, {}),
  /** Asks for a slot: a handshake waits for one. */
  WANT: worker(17, ACTIVE_STATES, {}),
  /** Returns slots that the worker does not use. */
  RETURN: worker(18, SERVED_STATES, { count: u32 }),
  /** The worker can use all files of the first `count` messages FILES and KEPT. */
  GOOD: worker(19, ["starting", "listening", ...SERVED_STATES], { count: u32 }),
  /** Asks for the verdict of s6's access rules on a client, by its address or then by its name.
   *  RULED follows. */
  RULES: worker(20, ACTIVE_STATES, {
    id,
    by: oneOf(["address", "host"]),
    ip: text(MAX_IP),
    host: text(MAX_HOST),
  }),
  /** Asks for pipes for programs that start later. PIPES follows. */
  PREPARE: worker(21, ACTIVE_STATES, {}),
  /** Asks for a program with pipes from PIPES. REFUSED follows, or EXITED when it has ended. */
  RUN: worker(22, ACTIVE_STATES, { id, pipes: u32, ...started }, { max: MAX_START }),
  /** Asks whether a program runs that was asked for with RUN. RUNS, REFUSED or EXITED follows, if
   *  none of them has been sent. */
  IDENTIFY: worker(23, SERVED_STATES, { id }),

  /** Everything that the worker needs to start: an `Init` (init.ts). */
  INIT: monitor(64, { init: json<unknown>() }),
  /** The present state of files. A descriptor comes with the message for each file that is open. */
  FILES: monitor(65, { files: json<readonly SentFile[]>() }),
  /** The listening socket comes with the message. */
  LISTEN: monitor(66, {}),
  /** A program runs. The worker's ends of its pipes come with the message. */
  STARTED: monitor(67, { id, pid: u32, delayed: flag, ...slots }),
  REFUSED: monitor(68, { id, why: words(4096), ...slots }),
  /** `status`: the wait status, see wait(2). */
  EXITED: monitor(69, { id, pid: u32, status: u32, ...slots }),
  SLOTS: monitor(70, slots),
  /** Answers TAKE and CHECK. `count`: the limit that refused the connection. `others`: open
   *  connections of its address when it came. */
  VERDICT: monitor(71, {
    id,
    refusal: oneOf(["none", "address", "rate", "network"]),
    count: u32,
    others: u32,
  }),
  /** Read all files again, changed or not. FILES follow. */
  RELOAD: monitor(72, {}),
  DRAIN: monitor(73, {}),
  /** Asks for COUNTS `id`. */
  GATHER: monitor(74, { id }),
  /** For the worker that answers scrapers. A listening socket comes with it if `socket` is true. */
  METRICS: monitor(75, { introduction: json<Introduction>() }),
  /** The sums over all workers, for SCRAPE `id`: `Totals` in counts.ts. */
  TOTALS: monitor(76, {
    id,
    counts: numbers,
    workers: u32,
    programs: u32,
    silent: u32,
    ended: group({ signal: u32, breach: u32, exit: u32 }),
  }),
  /** End at once, with all connections. */
  END: monitor(77, {}),
  /** A file in the state in which workers could last use it. `whole`: `bytes` is its content. */
  KEPT: monitor(78, { whole: flag, bytes: block, file: json<HandedFile>() }),
  /** Answers RULES. */
  RULED: monitor(79, { id, verdict: json<AccessVerdict>() }),
  /** Answers PREPARE: the worker's ends of the pipes for `count` programs come with the message. They
   *  have numbers for RUN, from `first` on. */
  PIPES: monitor(80, { first: u32, count: u32 }),
  /** A program asked for with RUN runs: answers IDENTIFY. */
  RUNS: monitor(81, { id, pid: u32 }),
} as const;

type Table = typeof MESSAGES;

/** The names of the kinds that one side sends. */
export type MessageKind<S extends Side> = {
  [K in keyof Table]: Table[K]["from"] extends S ? K : never;
}[keyof Table];

/** The message of one kind. */
export type MessageOf<K extends keyof Table> = { readonly kind: K } & Values<Table[K]["fields"]>;

/** Any message of one side. */
export type Message<S extends Side> = { [K in MessageKind<S>]: MessageOf<K> }[MessageKind<S>];
export type WorkerMessage = Message<"worker">;
export type MonitorMessage = Message<"monitor">;

/** A handler for each kind that one side sends. The compiler asks for all of them. */
export type Handlers<S extends Side, Rest extends readonly unknown[] = []> = {
  readonly [K in MessageKind<S>]: (message: MessageOf<K>, ...rest: Rest) => void;
};

/** See `MESSAGES.TAKE`. */
export type WireLimits = MessageOf<"TAKE">["limits"];

/** True if one of the limits is set. */
export function hasAnyLimit({ perAddress, rate, network }: WireLimits): boolean {
  return perAddress > 0 || rate.count > 0 || network.count > 0;
}

/** The fields that every message about programs has. */
export type SlotCounts = Values<typeof slots>;

/** Returns the state of a worker after a message. Throws `DecodeError` if the message is not
 *  permitted in `state`. */
export function stateAfter(state: WorkerState, kind: MessageKind<"worker">): WorkerState {
  const { states, then }: MessageRow<"worker", Fields> = MESSAGES[kind];
  if (states.includes(state)) return then ?? state;
  throw new DecodeError(`privsep: kind: no ${kind} while ${state}`);
}
