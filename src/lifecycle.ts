/** The connections of a server, and its end: drain, end, closed. It observes the stages of
 *  connections, and calls no code of a stage. */

import type { Connection, ConnectionObserver } from "./connection.ts";
import type { Reason } from "./reason.ts";
import type { Listener } from "./runtime/runtime.ts";

/** Milliseconds between SIGTERM and SIGKILL for programs when the server ends everything. */
export const GRACE = 5000;

/** Calls `end` after `seconds` (--drain-timeout), or never if `seconds` is undefined. Does not keep
 *  the process alive. To be called when the drain begins. */
export function endAfter(seconds: number | undefined, end: () => void): void {
  if (seconds !== undefined) setTimeout(end, seconds * 1000).unref();
}

export interface Server {
  readonly port: number;
  /** Stops listening; connections go on. A connection that has no program after `patience`
   *  milliseconds (1000) is closed. `queue` (true): accepts the connections in the kernel's queue
   *  first, because no other process will accept them. Only the first call counts. */
  drain(patience?: number, queue?: boolean): void;
  /** Ends connections and programs too. Programs get SIGTERM, and SIGKILL if they still run after
   *  `grace` milliseconds (0). */
  end(grace?: number): void;
  /** Sends a signal to every program. */
  signalPrograms(signal: "SIGTERM" | "SIGKILL"): void;
  /** Resolves after `drain` when the listening socket is closed. */
  readonly left: Promise<void>;
  /** Resolves after `drain` when every remaining connection has its program. */
  readonly settled: Promise<void>;
  /** Resolves when the last connection has ended after `drain` or `end`. */
  readonly closed: Promise<void>;
}

const SHUT_DOWN: Reason = { kind: "shut down" };

/** How long a connection without a program may delay the exit, in milliseconds. */
const START_PATIENCE = 1000;

/** How long a draining server keeps accepting while connections are in the kernel's queue, in
 *  milliseconds. New ones could otherwise delay its end for ever. */
const QUEUE_PATIENCE = 500;

/** `draining`: `drain` was called, and the server still listens. `left`, `settled` and `closed` are
 *  the promises of `Server`. */
export type DrainState = "serving" | "draining" | "left" | "settled" | "closed";
export type DrainEvent =
  /** `drain` or `end` is called, for the first time or again. */
  | "asked"
  /** The listener is closed. */
  | "stopped"
  /** Every connection has its program, or none is left. */
  | "all started"
  /** No connection is left. */
  | "all over";

/** An event without an entry changes nothing. An event that comes too early is not lost:
 *  `Lifecycle` checks again at each change. */
const NEXT: Readonly<Record<DrainState, Partial<Record<DrainEvent, DrainState>>>> = {
  serving: { asked: "draining" },
  draining: { stopped: "left" },
  left: { "all started": "settled" },
  settled: { "all over": "closed" },
  closed: {},
};

/** The drain of a server as a state machine. Knows nothing of connections. */
export class Drain {
  state: DrainState = "serving";
  readonly #promises = {
    left: Promise.withResolvers<void>(),
    settled: Promise.withResolvers<void>(),
    closed: Promise.withResolvers<void>(),
  };

  /** Handles an event. True if the state has changed. */
  on(event: DrainEvent): boolean {
    const next = NEXT[this.state][event];
    if (next === undefined) return false;
    this.state = next;
    if (next in this.#promises) this.#promises[next as "left" | "settled" | "closed"].resolve();
    return true;
  }

  /** Resolves when the server reaches `state`. */
  until(state: "left" | "settled" | "closed"): Promise<void> {
    return this.#promises[state].promise;
  }
}

/** What a draining server needs of the gate (accept/gate.ts). */
export interface QueueGate {
  listener: Listener | undefined;
  takeQueue(): void;
}

export class Lifecycle implements ConnectionObserver {
  readonly #drain = new Drain();
  /** Connections before `lingering`, with or without a program. */
  readonly #connections = new Set<Connection>();
  /** The connections without a program. */
  readonly #withoutProgram = new Set<Connection>();
  /** Number of connections whose program has ended, and whose client has not closed yet. */
  #lingering = 0;
  #ending = false;

  constructor(readonly gate: QueueGate) {}

  /** See `ConnectionObserver`. */
  entered(conn: Connection, before: Connection["stage"]): void {
    switch (conn.stage) {
      case "accepted":
        this.#connections.add(conn);
        this.#withoutProgram.add(conn);
        return;
      case "conversing":
        if (this.#withoutProgram.delete(conn)) this.#check();
        return;
      case "lingering":
      case "over":
        if (conn.stage === "lingering") this.#lingering++;
        else if (before === "lingering") this.#lingering--;
        this.#connections.delete(conn);
        this.#withoutProgram.delete(conn);
        return this.#check();
    }
  }

  /** The server that accepts from `listener`. */
  server(listener: Listener): Server {
    this.gate.listener = listener;
    return {
      port: listener.port,
      left: this.#drain.until("left"),
      settled: this.#drain.until("settled"),
      closed: this.#drain.until("closed"),
      drain: (patience, queue) => this.#begin(listener, patience, queue),
      end: (grace = 0) => this.#end(listener, grace),
      signalPrograms: (signal) => this.#signalPrograms(signal),
    };
  }

  #check(): void {
    if (this.#withoutProgram.size === 0) this.#drain.on("all started");
    if (this.#connections.size === 0 && (this.#ending || this.#lingering === 0)) {
      this.#drain.on("all over");
    }
  }

  #giveUp(connections: Iterable<Connection>): void {
    for (const conn of connections) conn.giveUp(SHUT_DOWN);
  }

  #begin(listener: Listener, patience = START_PATIENCE, queue = true): void {
    if (!this.#drain.on("asked")) return;
    // Closing the listening socket resets the connections in the kernel's queue: accept them first.
    const until = performance.now() + (queue ? Math.min(patience, QUEUE_PATIENCE) : 0);
    if (queue && patience > 0) this.gate.takeQueue();
    const close = (): void => {
      if (performance.now() < until && listener.crowded) return void setImmediate(close);
      listener.close();
      this.#drain.on("stopped");
      if (patience === 0) this.#giveUp(this.#withoutProgram);
      this.#check();
    };
    setImmediate(() => setImmediate(close));
    if (patience > 0) setTimeout(() => this.#giveUp(this.#withoutProgram), patience).unref();
  }

  #end(listener: Listener, grace: number): void {
    this.#ending = true;
    this.#begin(listener);
    this.#check();
    this.#giveUp(this.#connections);
    this.#signalPrograms("SIGTERM");
    setTimeout(() => this.#signalPrograms("SIGKILL"), grace).unref();
  }

  #signalPrograms(signal: "SIGTERM" | "SIGKILL"): void {
    for (const conn of this.#connections) conn.program?.kill(signal);
  }
}
