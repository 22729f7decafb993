/** The budget for the descriptors of a process. Every descriptor is part of it:
 *
 *      limit          open files that the system allows this process (RLIMIT_NOFILE, soft)
 *    - open           those open at start: runtime, log, channel to the monitor, inherited ones
 *    - reserve        short-lived ones: the program's ends of its pipes, files being read or handed
 *                     over, the listening socket and its copy; and the connections to --metrics
 *    - questions      sockets of DNS and ident
 *    = connections    a socket each, and the pipes of as many programs as may run
 *
 *  A connection is charged for its program's pipes when it is accepted, so the start of a program
 *  never fails for lack of descriptors. If one more connection would exceed the budget, accepting
 *  pauses and clients wait in the kernel's queue. During the pause, clients that have been silent for
 *  a second are closed. Connections without a program leave a fifth of the connections' budget to the
 *  others, and clients whose program has ended may use a quarter of it. A question waits until a
 *  descriptor is free.
 *
 *  Other processes can still exhaust the system's table (ENFILE). Such a failure costs one connection,
 *  one question or one check of a file, never the process. */

import type { Options } from "../config/options.ts";
import { FatalError } from "../errors.ts";
import { MAX_CONNECTIONS } from "../metrics/endpoint.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import { AHEAD, PIPE_DESCRIPTORS } from "../runtime/program_pipes.ts";
import { TAP_DESCRIPTORS } from "../runtime/tap.ts";

/** Short-lived descriptors: a quarter of the limit, within these bounds. The upper bound is for
 *  5 program ends, 8 files in one hand-over and 4 rules files, 6 of listener and poller, and
 *  some that a runtime opens itself. */
const RESERVE = { least: 8, most: 32 } as const;
/** The share of the budget, without the reserve, that sockets for DNS and ident may use. */
const QUESTIONS = 1 / 6;
/** The share of the connections' budget that connections without a program may use. */
const PENDING = 4 / 5;
/** The share of the connections' budget for clients whose program has ended. */
const LINGERING = 1 / 4;

/** The descriptors that a server needs. */
export interface Needs {
  /** Open files allowed to this process; Infinity if unknown. */
  limit: number;
  /** Files open now. */
  open: number;
  /** Descriptors for one connection with its program: the socket, and our ends of the pipes. */
  each: number;
  /** Programs that may run at once (-c). */
  programs: number;
  /** --pending. */
  pending: number;
  /** Questions to DNS and ident at once. */
  questions: number;
  /** Connections to --metrics, its listening socket included. */
  metrics: number;
}

/** Maximum number of DNS questions at once. Each uses an ephemeral port, of which there are 28,000
 *  by default. */
const MAX_QUESTIONS = 4096;
/** Questions about our own names. */
const OWN_QUESTIONS = 16;

/** What a server with these options needs. `pending`: this process's part of --pending. */
export function needsOf(
  options: Options,
  libc: Libc | undefined,
  { pending = options.pending, inProcess = options.handler !== undefined, ahead = false }: {
    pending?: number;
    /** Pipes are made before their programs are asked for. */
    ahead?: boolean;
    /** A handler serves in place of a program. */
    inProcess?: boolean;
  } = {},
): Needs {
  const { delayed, concurrency, remoteName, ident, metrics, trace } = options;
  // --files has a file open for each connection.
  const files = options.handler?.kind === "files" ? 1 : 0;
  const pipes = inProcess ? files : PIPE_DESCRIPTORS[delayed ? "delayed" : "plain"];
  // One question for each connection that may wait for one. With fewer, clients whose DNS zone does
  // not answer would delay all others.
  const questions = remoteName || ident ? Math.min(pending, MAX_QUESTIONS) : 0;
  return {
    limit: libc?.raiseFileLimit().soft ?? Infinity,
    open: (libc?.openDescriptors() ?? 0) + (ahead ? AHEAD.descriptors : 0),
    each: 1 + pipes + (trace === "nothing" ? 0 : TAP_DESCRIPTORS),
    programs: concurrency,
    pending,
    questions: questions + OWN_QUESTIONS,
    metrics: metrics ? MAX_CONNECTIONS + 1 : 0,
  };
}

/** The lowest limit with which --pending is not reduced and accepting never pauses for lack of
 *  descriptors. */
export function wantedLimit({ open, each, programs, pending, questions, metrics }: Needs): number {
  const reserved = Math.min(programs, pending) * (each - 1);
  const connections = Math.max(programs * each + pending, (pending + reserved) / PENDING);
  const left = Math.min(connections + questions, connections / (1 - QUESTIONS));
  return Math.ceil(open + metrics + RESERVE.most + AHEAD.descriptors + left) + 1;
}

/** The number of programs that a monitor may run at once if each one takes a descriptor while it
 *  runs; further programs wait for a slot. Each worker is charged four descriptors: two sockets,
 *  and copies of its own ends in transit; and the program's ends of pipes that are made ahead. */
export function programRoom(limit: number, open: number, workers: number): number {
  const each = 4 + (limit < AHEAD.leastLimit ? 0 : AHEAD.descriptors);
  return Math.max(1, limit - open - reserveOf(limit) - each * workers);
}

/** The parts of the limit. */
export interface Budget {
  /** Descriptors for connections and programs. */
  connections: number;
  questions: number;
  /** Pending connections at which accepting pauses: --pending, or fewer. */
  pending: number;
  /** Maximum number of clients that stay connected after their program has ended (linger.ts). */
  lingering: number;
}

/** Divides the limit. Throws `FatalError` if it is too low for one connection. */
export function divide(needs: Needs): Budget {
  const { limit, open, each, programs, pending } = needs;
  if (limit === Infinity) {
    return { connections: Infinity, questions: needs.questions, pending, lingering: Infinity };
  }
  const left = limit - open - needs.metrics - reserveOf(limit);
  const questions = Math.min(needs.questions, Math.max(1, Math.floor(left * QUESTIONS)));
  const connections = left - questions;
  if (connections < each) {
    throw new FatalError(
      `unable to serve: ${limit} open files are too few`,
      undefined,
      "raise the limit: ulimit -n 1024, softlimit -o 1024, or LimitNOFILE=1024",
    );
  }
  const room = connections * PENDING;
  const most = Math.max(room / each, room - (each - 1) * programs);
  return {
    connections,
    questions,
    pending: Math.max(1, Math.min(pending, Math.floor(most))),
    lingering: Math.max(1, Math.floor(connections * LINGERING)),
  };
}

function reserveOf(limit: number): number {
  return Math.min(Math.max(Math.ceil(limit / 4), RESERVE.least), RESERVE.most);
}
