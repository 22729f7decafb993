/** How many may be inside: connections on their way through admission and handshake (--pending), and
 *  descriptors. Where programs run at their limit nothing is refused: the
 *  listener pauses and the kernel holds the next ones. Clients that are not through give way to
 *  newer ones, silent ones first, since a thousand of them would else lock everybody out. */

import type { Connection } from "./connection.ts";
import type { Programs } from "./programs.ts";
import type { Listener } from "./runtime/runtime.ts";

/** Descriptors kept free: runtime, listener, log, resolver, ident, and a spawn's transient pipes. */
const RESERVE = 64;
/** What a connection with a program costs: socket, two pipes, a handle on the process. One without
 *  costs its socket. */
const DESCRIPTORS_EACH = 4;
/** UCSPI-TLS: two more pipes, and both directions of the control socket. */
const DESCRIPTORS_EACH_DELAYED = 8;

export interface GateOptions {
  programs: Programs;
  pending: number;
  /** Open files allowed to this process; Infinity where that is not known. */
  descriptors: number;
  /** UCSPI-TLS (-n). */
  delayed?: boolean;
}

export class Gate {
  listener: Listener | undefined;
  /** Called when a connection has left. */
  onLeave: () => void = () => {};
  /** Not through their handshake; those that have sent nothing, oldest first. */
  readonly #pending = new Set<Connection>();
  readonly #silent = new Set<Connection>();
  #open = 0;
  /** Their program has ended; the client has not closed yet, or has not read all. Oldest first. */
  readonly #lingering = new Set<Connection>();
  /** Connections with pipes to a program. */
  #piped = 0;
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
    } else if (this.#scarce()) {
      const kinds = [this.#silent, this.#lingering, this.#pending];
      this.#evict(conn, "descriptors are running low", kinds);
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

  /** Its program runs. */
  begin(): void {
    this.#piped++;
    this.#update();
  }

  /** Its program has ended and its pipes are closed; perhaps its socket is not. */
  linger(conn: Connection): void {
    this.#piped--;
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

  /** One more connection with its program could take the last descriptors. */
  #scarce(): boolean {
    const { descriptors, delayed } = this.options;
    const each = delayed ? DESCRIPTORS_EACH_DELAYED : DESCRIPTORS_EACH;
    const used = this.#open + (this.#piped + 1) * (each - 1);
    return used >= descriptors - RESERVE;
  }

  #update(): void {
    const { programs } = this.options;
    const full = this.#scarce() ||
      (!this.#last && (programs.full || programs.waiting > 0));
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.listener?.pause();
    else this.listener?.resume();
  }
}
