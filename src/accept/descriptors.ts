/** One budget for the descriptors of a process. Nothing takes a descriptor outside of it:
 *
 *      limit          open files that the system allows this process (RLIMIT_NOFILE, soft)
 *    - open           counted at start: runtime, log, channel to the monitor, inherited ones
 *    - reserve        short-lived ones: the program's ends of its pipes, files being read or handed
 *                     over, the listening socket and its copy; and the connections to --metrics
 *    - questions      sockets of DNS and ident
 *    = connections    a socket each, and the pipes of as many programs as may run
 *
 *  A connection is charged for its program's pipes from the moment it is accepted, so a start never
 *  fails for want of descriptors. When one more connection would exceed the budget, accepting pauses
 *  and clients wait in the kernel's queue. A question that finds no free descriptor waits for one.
 *  While it pauses, clients that have been silent for a second give way. Connections without a program
 *  leave a fifth of the budget to the others, and a quarter of it may linger.
 *
 *  Other processes can still exhaust the system's own table (ENFILE): what then fails costs one
 *  connection, one question or one look at a file, never the process. */

import type { Options } from "../config/options.ts";
import { FatalError } from "../errors.ts";
import { MAX_CONNECTIONS } from "../metrics/endpoint.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import { PIPE_DESCRIPTORS } from "../runtime/program_pipes.ts";

/** Short-lived descriptors: a quarter of the limit, within these bounds. The most is 5 program ends, 8 files in one hand-over
 *  and 4 rules files, 6 of listener and poller, and some for what a runtime opens by itself. */
const RESERVE = { least: 8, most: 32 } as const;
/** The part of the budget, after the reserve, that questions may use. */
const QUESTIONS = 1 / 6;
/** The part of the connections' budget that connections without a program may use. */
const PENDING = 4 / 5;
/** The part of it that clients may use whose program has ended. */
const LINGERING = 1 / 4;

/** What a server is going to use. */
export interface Needs {
  /** Open files allowed to this process; Infinity where that is not known. */
  limit: number;
  /** Those open now. */
  open: number;
  /** For one connection with its program: the socket, and our ends of the pipes. */
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

/** DNS questions at once at most; each has a port of its own (28,000 by default). */
const MAX_QUESTIONS = 4096;
/** Questions about our own names. */
const OWN_QUESTIONS = 16;

/** What a server with these options is going to use. `pending`: its process's part of --pending. */
export function needsOf(
  options: Options,
  libc: Libc | undefined,
  { handler = false, pending = options.pending }: { handler?: boolean; pending?: number } = {},
): Needs {
  const { delayed, concurrency, remoteName, ident, metrics } = options;
  // A question for each connection that may wait for one: with fewer, clients from zones that never
  // answer would hold up all others.
  const questions = remoteName || ident ? Math.min(pending, MAX_QUESTIONS) : 0;
  return {
    limit: libc?.raiseFileLimit().soft ?? Infinity,
    open: libc?.openDescriptors() ?? 0,
    each: handler ? 1 : 1 + PIPE_DESCRIPTORS[delayed ? "delayed" : "plain"],
    programs: concurrency,
    pending,
    questions: questions + OWN_QUESTIONS,
    metrics: metrics ? MAX_CONNECTIONS + 1 : 0,
  };
}

/** The limit with which --pending is not lowered and accepting never pauses for want of descriptors. */
export function wantedLimit({ open, each, programs, pending, questions, metrics }: Needs): number {
  const reserved = Math.min(programs, pending) * (each - 1);
  const connections = Math.max(programs * each + pending, (pending + reserved) / PENDING);
  const left = Math.min(connections + questions, connections / (1 - QUESTIONS));
  return Math.ceil(open + metrics + RESERVE.most + left) + 1;
}

/** Programs that a monitor may run at once, where each costs it a descriptor as long as it runs: the
 *  others wait for a slot. A worker has two sockets and its own copies on their way. */
export function programRoom(limit: number, open: number, workers: number): number {
  return Math.max(1, limit - open - reserveOf(limit) - 4 * workers);
}

/** How the limit is divided. */
export interface Budget {
  /** Descriptors for connections and programs. */
  connections: number;
  questions: number;
  /** Connections that may be pending before accepting pauses: --pending, or fewer. */
  pending: number;
  /** Clients whose program has ended and that may still be connected (linger.ts), or fewer. */
  lingering: number;
}

/** Divides the limit. Throws `FatalError` when it does not suffice for one connection. */
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
