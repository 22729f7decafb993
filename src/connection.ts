/** The record of one connection: how far it has come, its program, and why it ends. Each stage reads what
 *  earlier stages found and adds its own. Whoever has to know of stages is an observer. */

import type { ConnectionVariable, RuleVariables } from "./config/variables.ts";
import type { Reason } from "./reason.ts";
import { type Address, type Program, type Socket, TlsError } from "./runtime/runtime.ts";
import type { StreamHandler } from "./runtime/stream.ts";

/** One end, with the name that DNS or -l gave it. */
export interface Peer extends Address {
  /** Undefined: not looked up, or none. */
  host?: string | undefined;
}

/** The client's end. */
export interface RemotePeer extends Peer {
  /** What its ident server answered, if that was asked. */
  info?: string | undefined;
}

/** It is counted by its address, until `release` (admit/limits.ts). */
export interface Counted {
  /** Only the first call counts. */
  release(): void;
}

/** Its slot among those of -c, as the stages use it (program/slots.ts). */
export interface ConnectionSlot {
  /** Resolves when nobody else gets it any more; undefined: at once. Rejects when `signal` aborts. */
  keep(signal: AbortSignal): Promise<void> | undefined;
  /** Its program runs. */
  run(): void;
  /** It is counted elsewhere from now on. */
  hand(): void;
  /** Gives it to the next one. Only the first call counts. */
  release(): void;
}

/** How far a connection has come, in this order. With -n (UCSPI-TLS) it starts and converses in the clear,
 *  and `hello`, `handshake` and `conversing` again may follow. */
export type Stage =
  /** A proxy may have to send its header. */
  | "accepted"
  | "admission"
  /** The server waits for a ClientHello. */
  | "hello"
  /** The ClientHello is complete: a slot and the handshake are next. */
  | "handshake"
  | "starting"
  | "conversing"
  /** Its client has gone; its program runs on. */
  | "finishing"
  /** Its program has ended; its client has not closed yet, or has not read all. */
  | "lingering"
  | "over";

/** Why a connection ends, and the stage in which it does. */
export interface ConnectionEnd {
  readonly reason: Reason;
  readonly stage: Stage;
}

/** Is told of all connections. `conn.stage` is the stage that begins. */
export interface ConnectionObserver {
  entered(conn: Connection, before: Stage): void;
  /** Something has failed, or broken it; the first `end` is also `conn.endedBy`. */
  failed?(conn: Connection, end: ConnectionEnd): void;
  /** Its program has been reaped, and its output is done. `status` is the wait status, if that is known. */
  programEnded?(conn: Connection, program: RunningProgram, status: number | undefined): void;
}

/** The program of a connection. */
export interface RunningProgram extends Program {
  /** Programs that ran when it was started, itself included, where word of later ends may come along with
   *  it. */
  readonly running?: number;
}

const NOTHING = new Uint8Array(0);
const NO_OBSERVERS: readonly ConnectionObserver[] = [];
const NO_VARIABLES: RuleVariables = new Map();

/** Thousands may be idle at a time: what a stage needs only while it lasts goes with it.
 *
 *  Between two stages the connection is the owner of its own stream: a client that has gone then must not go
 *  on counting, nor be asked about. */
export class Connection implements StreamHandler {
  readonly local: Peer;
  readonly remote: RemotePeer;
  /** Interface of an IPv6 connection, where it is known: of a link-local client its number (`%2`), which
   *  becomes a name where the program is started (programs.ts); else the name that -I gives. */
  interface: string | undefined;
  /** The proxy that sent a header, and what else the header said, as variables. `own`: it speaks
   *  for itself. */
  proxy: Address & { variables: ReadonlyMap<ConnectionVariable, string>; own: boolean } | undefined;
  /** What the rules set: goes over the environment, for TLS settings and program alike. */
  variables = NO_VARIABLES;
  /** Its reservation in the counts by address; set by admission, given back when it ends. */
  reservation: Counted | undefined;
  /** Its slot among those of -c; with the program it is the program's. */
  slot: ConnectionSlot | undefined;
  program: RunningProgram | undefined;
  stage: Stage = "accepted";
  /** When that began, for the metrics, which set it. */
  since = 0;
  /** Why it ends, when that is not by itself. */
  endedBy: ConnectionEnd | undefined;
  /** What was read of its ClientHello while that is incomplete. */
  begun: Uint8Array = NOTHING;
  /** A PROXY header comes before its ClientHello. */
  awaitsHeader = false;
  /** Its socket counts. Set by the gate alone (gate.ts). */
  open = false;
  /** When it was accepted, on the clock of performance.now(). */
  readonly accepted: number = performance.now();
  /** It has been given up, and this is why: the stage it is in fails with it. */
  givenUp: Reason | undefined;
  #abort: AbortController | undefined;

  constructor(
    readonly socket: Socket,
    localName: string | undefined,
    at: string | undefined,
    readonly observers: readonly ConnectionObserver[] = NO_OBSERVERS,
  ) {
    this.interface = at;
    this.local = { ...socket.local, host: localName };
    this.remote = { ...socket.remote };
  }

  /** Aborts when the server gives the connection up before its program runs. `reason` is a
   *  `Reason`. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.givenUp !== undefined) this.#abort.abort(this.givenUp);
    return this.#abort.signal;
  }

  /** The stage begins. */
  enter(stage: Stage): void {
    const before = this.stage;
    this.stage = stage;
    if (stage === "conversing") this.#abort = undefined; // nobody waits for it
    if (stage === "finishing" || stage === "over") this.reservation?.release();
    for (const observer of this.observers) observer.entered(this, before);
  }

  /** It ends because of this, or has been broken. */
  fail(reason: Reason, stage = this.stage): void {
    const end = { reason, stage };
    this.endedBy ??= end;
    for (const observer of this.observers) observer.failed?.(this, end);
  }

  /** The socket of one with a program is closed. Idempotent. */
  clientGone(): void {
    if (this.stage === "lingering") this.enter("over");
    else if (this.stage !== "finishing" && this.stage !== "over") this.enter("finishing");
  }

  programEnded(program: RunningProgram, status: number | undefined): void {
    for (const observer of this.observers) observer.programEnded?.(this, program, status);
  }

  /** No stage is left but that of a client that has not closed yet. Gives back what it has. */
  finish(): void {
    if (this.program) return this.enter(this.stage === "finishing" ? "over" : "lingering");
    this.slot?.release();
    this.socket.destroy();
    this.enter("over");
  }

  /** Closes its socket; the owner of its stream is told. */
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

/** Stage 0: what the socket itself tells. */
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
