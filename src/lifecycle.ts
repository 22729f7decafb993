/** The connections of a server, and its end: drain, end, closed. It knows how far each connection has
 *  come, and nothing of the stages. */

import type { Gate } from "./accept/gate.ts";
import type { Connection } from "./connection.ts";
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

export class Lifecycle {
  readonly #left = Promise.withResolvers<void>();
  readonly #settled = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #connections = new Set<Connection>();
  /** Those without a program. */
  readonly #early = new Set<Connection>();
  #draining = false;
  #listening = true;
  #ending = false;

  constructor(readonly gate: Gate) {}

  /** A new connection. */
  enter(conn: Connection): void {
    this.#connections.add(conn);
    this.#early.add(conn);
  }

  /** Its program runs. */
  started(conn: Connection): void {
    if (this.#early.delete(conn)) this.#look();
  }

  over(conn: Connection): void {
    this.#connections.delete(conn);
    this.#early.delete(conn);
    this.#look();
  }

  /** The server that accepts from `listener`. */
  server(listener: Listener): Server {
    this.gate.listener = listener;
    this.gate.onLeave = () => this.#look();
    return {
      port: listener.port,
      left: this.#left.promise,
      settled: this.#settled.promise,
      closed: this.#closed.promise,
      drain: (patience, queue) => this.#drain(listener, patience, queue),
      end: (grace = 0) => this.#end(listener, grace),
    };
  }

  #look(): void {
    if (!this.#draining || this.#listening) return;
    if (this.#early.size === 0) this.#settled.resolve();
    // A client may still be reading what its program has left.
    if (this.#connections.size === 0 && (this.#ending || this.gate.open === 0)) {
      this.#closed.resolve();
    }
  }

  #dismiss(): void {
    for (const conn of this.#early) conn.giveUp(SHUT_DOWN);
  }

  #drain(listener: Listener, patience = PATIENCE, queue = true): void {
    if (this.#draining) return;
    this.#draining = true;
    // Who stands in the kernel's queue would be reset: first they are accepted.
    const until = performance.now() + (queue ? Math.min(patience, QUEUE_PATIENCE) : 0);
    if (queue && patience > 0) this.gate.takeQueue();
    const close = (): void => {
      if (performance.now() < until && listener.crowded) return void setImmediate(close);
      listener.close();
      this.#listening = false;
      this.#left.resolve();
      if (patience === 0) this.#dismiss();
      this.#look();
    };
    setImmediate(() => setImmediate(close));
    if (patience > 0) setTimeout(() => this.#dismiss(), patience).unref();
  }

  #end(listener: Listener, grace: number): void {
    this.#ending = true;
    this.#drain(listener);
    this.#look();
    for (const conn of this.#connections) conn.giveUp(SHUT_DOWN);
    for (const conn of this.#connections) conn.program?.kill("SIGTERM");
    setTimeout(() => {
      for (const conn of this.#connections) conn.program?.kill("SIGKILL");
    }, grace).unref();
  }
}
