/** The connections of a server, and its end: drain, end, closed. It knows how far each connection has
 *  come, and nothing of the stages. */

import type { Connection, ConnectionObserver } from "./connection.ts";
import type { Reason } from "./reason.ts";
import type { Listener } from "./runtime/runtime.ts";

/** How long programs may take to obey when everything is ended, in milliseconds. */
export const GRACE = 5000;

export interface Server {
  readonly port: number;
  /** Stops listening; connections go on. Those without a program may take a second to come to it, or
   *  `patience` milliseconds. `queue`: those who stand in the kernel's queue are accepted, because
   *  nobody else will. */
  drain(patience?: number, queue?: boolean): void;
  /** Ends connections and programs too; a program that has not obeyed SIGTERM after `grace`
   *  milliseconds gets SIGKILL. */
  end(grace?: number): void;
  /** Resolves after `drain` when nobody can connect here any more. */
  readonly left: Promise<void>;
  /** Resolves after `drain` when every connection that is left has its program. */
  readonly settled: Promise<void>;
  /** Resolves when the last connection has ended after `drain` or `end`. */
  readonly closed: Promise<void>;
}

const SHUT_DOWN: Reason = { kind: "shut down" };

/** How long a connection without a program may hold the exit up, in milliseconds. */
const PATIENCE = 1000;

/** How long those who knock while the server drains may keep it accepting, in milliseconds. */
const QUEUE_PATIENCE = 500;

/** `draining`: asked to, and it still listens. `left`, `settled` and `closed` are the promises of `Server`. */
export type DrainState = "serving" | "draining" | "left" | "settled" | "closed";
export type DrainEvent =
  /** It is asked to, once or again. */
  | "asked"
  /** The listener is closed. */
  | "stopped"
  /** Every connection has its program, or none is left. */
  | "all started"
  /** No connection is left. */
  | "all over";

/** What is not here changes nothing: an event that comes too early is told again with the next change. */
const NEXT: Readonly<Record<DrainState, Partial<Record<DrainEvent, DrainState>>>> = {
  serving: { asked: "draining" },
  draining: { stopped: "left" },
  left: { "all started": "settled" },
  settled: { "all over": "closed" },
  closed: {},
};

/** How far a server has come on the way to its end. It knows nothing of connections. */
export class Drain {
  state: DrainState = "serving";
  readonly #promises = {
    left: Promise.withResolvers<void>(),
    settled: Promise.withResolvers<void>(),
    closed: Promise.withResolvers<void>(),
  };

  /** True: the state is another one now. */
  on(event: DrainEvent): boolean {
    const next = NEXT[this.state][event];
    if (next === undefined) return false;
    this.state = next;
    if (next in this.#promises) this.#promises[next as "left" | "settled" | "closed"].resolve();
    return true;
  }

  /** Resolves in that state. */
  until(state: "left" | "settled" | "closed"): Promise<void> {
    return this.#promises[state].promise;
  }
}

/** What the gate does for a server that ends. */
export interface QueueGate {
  listener: Listener | undefined;
  takeQueue(): void;
}

export class Lifecycle implements ConnectionObserver {
  readonly #drain = new Drain();
  /** Those with a program, or on the way to it. */
  readonly #connections = new Set<Connection>();
  /** Those without a program. */
  readonly #early = new Set<Connection>();
  /** Their clients may still be reading what their programs have left. */
  #lingering = 0;
  #ending = false;

  constructor(readonly gate: QueueGate) {}

  /** See `ConnectionObserver`. */
  entered(conn: Connection, before: Connection["stage"]): void {
    switch (conn.stage) {
      case "accepted":
        this.#connections.add(conn);
        this.#early.add(conn);
        return;
      case "conversing":
        if (this.#early.delete(conn)) this.#look();
        return;
      case "lingering":
      case "over":
        if (conn.stage === "lingering") this.#lingering++;
        else if (before === "lingering") this.#lingering--;
        this.#connections.delete(conn);
        this.#early.delete(conn);
        return this.#look();
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
    };
  }

  #look(): void {
    if (this.#early.size === 0) this.#drain.on("all started");
    if (this.#connections.size === 0 && (this.#ending || this.#lingering === 0)) {
      this.#drain.on("all over");
    }
  }

  #dismiss(connections: Iterable<Connection>): void {
    for (const conn of connections) conn.giveUp(SHUT_DOWN);
  }

  #begin(listener: Listener, patience = PATIENCE, queue = true): void {
    if (!this.#drain.on("asked")) return;
    // Who stands in the kernel's queue would be reset: first they are accepted.
    const until = performance.now() + (queue ? Math.min(patience, QUEUE_PATIENCE) : 0);
    if (queue && patience > 0) this.gate.takeQueue();
    const close = (): void => {
      if (performance.now() < until && listener.crowded) return void setImmediate(close);
      listener.close();
      this.#drain.on("stopped");
      if (patience === 0) this.#dismiss(this.#early);
      this.#look();
    };
    setImmediate(() => setImmediate(close));
    if (patience > 0) setTimeout(() => this.#dismiss(this.#early), patience).unref();
  }

  #end(listener: Listener, grace: number): void {
    this.#ending = true;
    this.#begin(listener);
    this.#look();
    this.#dismiss(this.#connections);
    for (const conn of this.#connections) conn.program?.kill("SIGTERM");
    setTimeout(() => {
      for (const conn of this.#connections) conn.program?.kill("SIGKILL");
    }, grace).unref();
  }
}
