/** How many may be inside: connections on their way through admission and handshake (--pending), and
 *  descriptors. Where programs run at their limit, or descriptors are short, nothing is refused: the
 *  listener pauses and the kernel holds the next ones. Clients that are not through give way to
 *  newer ones, silent ones first, since a thousand of them would else lock everybody out. */

import type { Connection } from "./connection.ts";
import type { Programs } from "./programs.ts";
import type { Listener } from "./runtime/runtime.ts";

/** While descriptors are short, a silent client gives way to new ones after so many milliseconds. */
const SILENT = 5000;

export interface GateOptions {
  programs: Programs;
  pending: number;
  /** Descriptors for connections and their programs (descriptors.ts). */
  descriptors: number;
  /** What a connection takes of them with its program; without one it takes 1. */
  each: number;
  /** -c. */
  concurrency: number;
}

export class Gate {
  listener: Listener | undefined;
  /** Called when a connection has left. */
  onLeave: () => void = () => {};
  /** Not through their handshake; those that have sent nothing, oldest first. */
  readonly #pending = new Set<Connection>();
  readonly #silent = new Set<Connection>();
  #open = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Their program has ended; the client has not closed yet, or has not read all. Oldest first. */
  readonly #lingering = new Set<Connection>();
  #paused = false;
  #last = false;

  constructor(readonly options: GateOptions) {
    options.programs.onChange = () => this.#update();
  }

  /** Connections that exist, the lingering ones included. */
  get open(): number {
    return this.#open;
  }

  /** Connections not through admission and handshake. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Connections that have sent nothing. */
  get silent(): Iterable<Connection> {
    return [...this.#silent];
  }

  /** A new connection. One silent client too many sends the oldest away. */
  enter(conn: Connection): void {
    this.#open++;
    conn.open = true;
    this.#pending.add(conn);
    this.#silent.add(conn);
    // A client of good will is through in milliseconds: to be the oldest it would take so many new
    // ones in that time. Pausing instead would let one byte each lock everybody out.
    if (this.#pending.size > this.options.pending) {
      this.#evict(conn, "too many connections are pending", [this.#silent, this.#pending]);
    }
    this.#update();
  }

  /** The oldest of the first kind that has one goes; `conn` itself is the last to blame. */
  #evict(conn: Connection, why: string, kinds: readonly Set<Connection>[]): void {
    for (const kind of kinds) {
      for (const oldest of kind) {
        if (oldest === conn) continue;
        this.#remove(oldest);
        const which = kind === this.#silent ? "was silent" : "took";
        return oldest.giveUp(`${why} and this one ${which} longest`);
      }
    }
  }

  /** The listener closes soon: who is in the kernel's queue now is let in, and may wait for a place
   *  here. */
  takeQueue(): void {
    this.#last = true;
    this.#update();
  }

  /** It has sent its first byte. */
  spoke(conn: Connection): void {
    this.#silent.delete(conn);
  }

  /** It is through its handshake, or refused. Idempotent. */
  through(conn: Connection): void {
    this.#silent.delete(conn);
    if (this.#pending.delete(conn)) this.#update();
  }

  /** Its program has ended and its pipes are closed; perhaps its socket is not. */
  linger(conn: Connection): void {
    if (conn.open) this.#lingering.add(conn);
    this.#update();
  }

  /** Its socket is closed. Idempotent. */
  leave(conn: Connection): void {
    this.#remove(conn);
    this.#update();
  }

  #remove(conn: Connection): void {
    this.#silent.delete(conn);
    this.#pending.delete(conn);
    this.#lingering.delete(conn);
    if (!conn.open) return;
    conn.open = false;
    this.#open--;
    this.onLeave();
  }

  /** One more connection could take the last descriptors. */
  #scarce(): boolean {
    const { descriptors, each, concurrency } = this.options;
    const piped = Math.min(concurrency, this.#open - this.#lingering.size + 1);
    return this.#open + 1 + piped * (each - 1) > descriptors;
  }

  /** While descriptors are short accepting pauses, which must not be for the sake of a client that
   *  says nothing. */
  #makeRoom(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const oldest of this.#silent) {
      if (!this.#scarce()) return;
      const left = oldest.accepted + SILENT - performance.now();
      if (left > 0) {
        this.#timer = setTimeout(() => this.#update(), left);
        this.#timer.unref();
        return;
      }
      this.#remove(oldest);
      oldest.giveUp("descriptors are running low and this one was silent longest");
    }
  }

  #update(): void {
    const { programs } = this.options;
    this.#makeRoom();
    const full = this.#scarce() ||
      (!this.#last && (programs.full || programs.waiting > 0));
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.listener?.pause();
    else this.listener?.resume();
  }
}
