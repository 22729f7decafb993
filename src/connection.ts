/** The record of one connection: its stage, its program, and why it ends. Each stage reads the
 *  results of earlier stages and adds its own. Code that must know of stages is a
 *  `ConnectionObserver`. */

import type { ConnectionVariable, RuleVariables } from "./config/variables.ts";
import type { Reason } from "./reason.ts";
import { type Address, type Program, type Socket, TlsError } from "./runtime/runtime.ts";
import type { StreamHandler } from "./runtime/stream.ts";

/** One end of a connection, with its host name. */
export interface Peer extends Address {
  /** The name from DNS, or for the local end from -l. Undefined if it was not looked up, or if
   *  there is none. */
  host?: string | undefined;
}

/** The client's end. */
export interface RemotePeer extends Peer {
  /** The answer of the client's ident server. Undefined if ident is off (-R), or without an
   *  answer. */
  info?: string | undefined;
}

/** A connection's place in the counts by address (admit/limits.ts); `release` ends it. */
export interface Counted {
  /** Other open connections of the address when this one came; undefined: not counted. */
  readonly others?: number | undefined;
  /** Other open connections of the address now; undefined: not known here. */
  readonly left?: number | undefined;
  /** Only the first call counts. */
  release(): void;
}

/** Something that may be given up while it waits. `signal` is read only if it must wait: making an
 *  AbortController costs time. */
export interface Cancellable {
  readonly signal: AbortSignal;
}

/** A connection's slot, one of -c, as the stages use it (program/slots.ts). */
export interface ConnectionSlot {
  /** Secures the slot for the program: it can no longer be taken away for another connection. If it
   *  has been, waits for another slot; otherwise returns undefined. Rejects when the signal of
   *  `conn` aborts. */
  secure(conn: Cancellable): Promise<void> | undefined;
  /** Marks the slot as used by a running program. */
  run(): void;
  /** Ends this object without freeing the slot, which is counted elsewhere from now on. */
  transfer(): void;
  /** Frees the slot for the next waiter. Only the first call counts. */
  release(): void;
}

/** The stages of a connection, in this order. With -n (UCSPI-TLS), `starting` and `conversing` come
 *  before TLS; `hello`, `handshake` and a second `conversing` follow if the program asks for
 *  TLS. */
export type Stage =
  /** The server reads the PROXY header, if one must come. */
  | "accepted"
  | "admission"
  /** The server waits for a ClientHello. */
  | "hello"
  /** The ClientHello is complete; the connection gets a slot and does the handshake. */
  | "handshake"
  | "starting"
  | "conversing"
  /** The client has gone; the program still runs. */
  | "finishing"
  /** The program has ended; the client has not read everything, or has not closed yet. */
  | "lingering"
  | "over";

/** Why a connection ends, and in which stage. */
export interface ConnectionEnd {
  readonly reason: Reason;
  readonly stage: Stage;
}

/** One observer serves all connections. */
export interface ConnectionObserver {
  /** Called when a stage begins: it is `conn.stage`. `before` is the previous stage; for `accepted`
   *  both are the same. */
  entered(conn: Connection, before: Stage): void;
  /** Called when a stage has failed or the client broke the connection, perhaps more than once. The
   *  first `end` is also `conn.endedBy`. */
  failed?(conn: Connection, end: ConnectionEnd): void;
  /** Called when the program has been reaped and its output is done. `status` is the wait status;
   *  undefined if it is not known. */
  programEnded?(conn: Connection, program: RunningProgram, status: number | undefined): void;
}

/** The program of a connection. */
export interface RunningProgram extends Program {
  /** Number of running programs, this one included, when it was started. A worker sets it: when the
   *  worker reads the monitor's answer, `Programs.running` may already count later ends. */
  readonly running?: number | undefined;
  /** Asks the monitor whether the program runs. Resolves when `pid` is known, and rejects if the
   *  program could not be started, as `exited` does. Undefined, as a function or its result: `pid` is
   *  known. */
  identified?(): Promise<void> | undefined;
}

const NOTHING = new Uint8Array(0);
const NO_OBSERVERS: readonly ConnectionObserver[] = [];
const NO_VARIABLES: RuleVariables = new Map();

/** Thousands may be idle at a time, so this object keeps nothing that only one stage needs.
 *
 *  Between two stages the connection owns its stream. It then notices when the client goes, so that
 *  the client no longer counts for limits and no look-up is started for it. */
export class Connection implements StreamHandler {
  readonly local: Peer;
  readonly remote: RemotePeer;
  /** Interface of an IPv6 connection, if it is known. For a link-local client it is the interface's
   *  number (`%2`), which is replaced by its name when the program starts (program/environment.ts);
   *  otherwise the name given with -I. */
  interface: string | undefined;
  /** The proxy that sent a PROXY header, and the header's other contents as variables. `own`: the
   *  proxy connects for itself (LOCAL), not for a client. */
  proxy: Address & { variables: ReadonlyMap<ConnectionVariable, string>; own: boolean } | undefined;
  /** Variables set by access rules. They override the environment, for TLS settings and the
   *  program. */
  variables = NO_VARIABLES;
  /** The command that access rules run in place of the program; undefined: the program itself. In a
   *  worker it is always undefined, because the monitor knows it. */
  command: readonly string[] | undefined;
  /** Place in the counts by address; set by admission, released when the connection ends. */
  reservation: Counted | undefined;
  /** Slot of -c. Once the program runs, the slot is released with the program, not with the
   *  connection. */
  slot: ConnectionSlot | undefined;
  program: RunningProgram | undefined;
  stage: Stage = "accepted";
  /** Used by the metrics alone: when the last measured stage began. */
  since = 0;
  /** Why it ends, and in which stage; undefined while nothing has failed. */
  endedBy: ConnectionEnd | undefined;
  /** The bytes read of a ClientHello that is still incomplete. */
  earlyBytes: Uint8Array = NOTHING;
  /** A PROXY header comes before the ClientHello. */
  awaitsHeader = false;
  /** The gate counts its socket as open. Set by the gate alone (accept/gate.ts). */
  open = false;
  /** When it was accepted, by performance.now(). */
  readonly accepted: number = performance.now();
  /** Why the server gave the connection up; the current stage fails with this reason. */
  givenUp: Reason | undefined;
  #abort: AbortController | undefined;

  constructor(
    readonly socket: Socket,
    localName: string | undefined,
    at: string | undefined,
    readonly observers: readonly ConnectionObserver[] = NO_OBSERVERS,
  ) {
    this.interface = at;
    const { local, remote } = socket;
    this.local = { ip: local.ip, port: local.port, host: localName };
    this.remote = { ip: remote.ip, port: remote.port };
  }

  /** Aborts when the connection is given up before its program runs. `signal.reason` is a
   *  `Reason`. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.givenUp !== undefined) this.#abort.abort(this.givenUp);
    return this.#abort.signal;
  }

  /** Begins a stage, and tells the observers. */
  enter(stage: Stage): void {
    const before = this.stage;
    this.stage = stage;
    if (stage === "conversing") this.#abort = undefined; // frees memory: no stage waits for it now
    if (stage === "finishing" || stage === "over") this.reservation?.release();
    for (const observer of this.observers) observer.entered(this, before);
  }

  /** Records why the connection ends, and tells the observers. Does not close it. */
  fail(reason: Reason, stage = this.stage): void {
    const end = { reason, stage };
    this.endedBy ??= end;
    for (const observer of this.observers) observer.failed?.(this, end);
  }

  /** To be called when the socket of a connection with a program is closed. Idempotent. */
  clientGone(): void {
    if (this.stage === "lingering") this.enter("over");
    else if (this.stage !== "finishing" && this.stage !== "over") this.enter("finishing");
  }

  programEnded(program: RunningProgram, status: number | undefined): void {
    for (const observer of this.observers) observer.programEnded?.(this, program, status);
  }

  /** Ends the stages. With a program only `lingering` may follow; otherwise closes the socket and
   *  frees the slot. */
  finish(): void {
    if (this.program) return this.enter(this.stage === "finishing" ? "over" : "lingering");
    this.slot?.release();
    this.socket.destroy();
    this.enter("over");
  }

  /** Closes the socket; the owner of its stream gets `close`. The current stage fails with
   *  `why`. */
  giveUp(why: Reason): void {
    if (this.givenUp === undefined) {
      this.givenUp = why;
      this.#abort?.abort(why);
    }
    this.socket.abort();
  }

  /** See `StreamHandler`. */
  close(error?: Error): void {
    if (error instanceof TlsError) this.giveUp(error.reason);
    else this.giveUp({ kind: "client gone", how: error ? "reset" : "closed" });
  }
}

/** Makes the record of an accepted socket, from what is known before the first stage. */
export function describe(
  socket: Socket,
  options: { localName: string | undefined; interface: string | undefined },
  observers?: readonly ConnectionObserver[],
): Connection {
  const { scopeId } = socket;
  const at = scopeId !== undefined
    ? `%${scopeId}`
    : socket.remote.ip.includes(":")
    ? options.interface
    : undefined;
  const conn = new Connection(socket, options.localName, at, observers);
  socket.take(conn);
  return conn;
}
