/** The record of one connection. Each stage reads what earlier stages found and adds its own. */

import type { ConnectionVariable, RuleVariables } from "./config/variables.ts";
import { NO_WATCH, type Watch } from "./metrics/observer.ts";
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

/** Its place among those of -c, as the stages use it (program/slots.ts). */
export interface HeldPlace {
  /** Resolves when nobody else gets it any more; undefined: at once. Rejects when `signal` aborts. */
  keep(signal: AbortSignal): Promise<void> | undefined;
  /** Its program runs. */
  run(): void;
  /** It is counted elsewhere from now on. */
  hand(): void;
  /** Gives it to the next one. Only the first call counts. */
  giveBack(): void;
}

const NOTHING = new Uint8Array(0);
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
  /** Its place in the counts by address; set by admission, given back when it ends. */
  hold: Counted | undefined;
  /** Its place among those of -c; with the program it is the program's. */
  place: HeldPlace | undefined;
  program: Program | undefined;
  /** What was read of its ClientHello while that is incomplete. */
  begun: Uint8Array = NOTHING;
  /** A PROXY header comes before its ClientHello. */
  awaitsHeader = false;
  /** Its socket is, and counts (gate.ts). */
  open = false;
  /** When it was accepted, on the clock of performance.now(). */
  readonly accepted: number = performance.now();
  /** Its client broke TLS while it waited for its program. */
  broken: Error | undefined;
  /** The server has given it up, and this is why. */
  givenUp: Reason | undefined;
  #abort: AbortController | undefined;

  constructor(
    readonly socket: Socket,
    localName: string | undefined,
    at: string | undefined,
    /** Is told what becomes of it (--metrics). */
    readonly watch: Watch,
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

  /** From now on nobody waits for the signal. */
  dropSignal(): void {
    this.#abort = undefined;
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
    if (!(error instanceof TlsError)) {
      return this.giveUp({ kind: "client gone", how: error ? "reset" : "closed" });
    }
    this.broken = error;
    this.giveUp(error.reason);
  }
}

/** Stage 0: what the socket itself tells. */
export function describe(
  socket: Socket,
  options: { localName: string | undefined; interface: string | undefined },
  watch: Watch = NO_WATCH,
): Connection {
  const { scopeId } = socket;
  const at = scopeId !== undefined
    ? `%${scopeId}`
    : socket.remote.ip.includes(":")
    ? options.interface
    : undefined;
  const conn = new Connection(socket, options.localName, at, watch);
  socket.take(conn);
  return conn;
}
