/** Who is let in, who waits and who has to go. THE ADMISSION POLICY:
 *
 *  - While slots (-c) are free, connections are accepted; else, and while descriptors are short, they
 *    wait in the kernel's queue and none is refused. A connection takes a slot when its ClientHello is complete and admission is over, in
 *    that order, and begins its handshake then: handshakes and programs together are never more than -c.
 *    With -n there is no ClientHello before the program: the slot is taken after admission.
 *  - Connections that are not through admission and handshake are --pending at most. When one comes that
 *    is too many, the oldest with an incomplete ClientHello is closed; when all others are complete, the one
 *    whose ClientHello has been complete longest. While a handshake is more than a second old, it goes
 *    before silent connections that are younger.
 *  - "Complete" counts what has come, read or not: while names are looked up the ClientHello waits in the
 *    socket, and a busy server has not read yet what is there. So it is looked for before one is closed.
 *
 *  An honest client sends its ClientHello within a round trip of its connection. Before it is the oldest,
 *  --pending others must connect after it: with 1,000 and a round trip of 200 ms that takes 5,000 a second.
 *  A single byte earns nothing. A full ClientHello and then silence does not hold a slot for long
 *  (program/slots.ts), nor, past its first second, a connection that is too many.
 */

import type { Connection, ConnectionObserver, Stage } from "../connection.ts";
import { Pending } from "./pending.ts";
import type { Reason } from "../reason.ts";
import type { Listener } from "../runtime/runtime.ts";

/** While descriptors are short, a silent client gives way to new ones after so many milliseconds. */
const SILENT = 1000;

/** What the gate asks of the programs. */
export interface GatePrograms {
  /** Calls `changed` when one of the numbers below has changed. */
  onChange(changed: () => void): void;
  /** Connections that wait for a slot (-c). */
  readonly waiting: number;
  /** Every slot is taken. */
  readonly full: boolean;
}

export interface GateOptions {
  programs: GatePrograms;
  pending: number;
  /** Descriptors for connections and their programs (descriptors.ts). */
  descriptors: number;
  /** What a connection takes of them with its program; without one it takes 1. */
  each: number;
  /** At so many pending connections descriptors are short. */
  pendingRoom: number;
  /** -c. */
  concurrency: number;
  /** See `PendingOptions`. */
  isHelloComplete: (conn: Connection) => boolean;
  /** `isHelloComplete` sees only what has been read. */
  blind?: boolean;
  /** Milliseconds, as performance.now(). */
  now?: () => number;
}

export class Gate implements ConnectionObserver {
  listener: Listener | undefined;
  /** Not through admission and handshake. */
  readonly #pending: Pending;
  readonly #now: () => number;
  #open = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Their program has ended; the client has not closed yet, or has not read all. Oldest first. */
  readonly #lingering = new Set<Connection>();
  #paused = false;
  #last = false;
  #judging = false;

  constructor(readonly options: GateOptions) {
    const { pending: limit, isHelloComplete, now = () => performance.now() } = options;
    this.#now = now;
    this.#pending = new Pending({ limit, isHelloComplete, now });
    options.programs.onChange(() => this.#update());
  }

  /** Connections that exist, the lingering ones included. */
  get open(): number {
    return this.#open;
  }

  /** Connections not through admission and handshake. */
  get pending(): number {
    return this.#pending.size;
  }

  /** See `ConnectionObserver`. */
  entered(conn: Connection, before: Stage): void {
    switch (conn.stage) {
      case "accepted":
        return this.#enter(conn);
      case "handshake":
        return this.#pending.complete(conn);
      case "starting":
        // With -n no ClientHello is asked for: it counts as complete until its program runs.
        return before === "admission" ? this.#pending.complete(conn) : this.#through(conn);
      case "conversing":
        return this.#through(conn);
      case "lingering":
        if (conn.open) this.#lingering.add(conn);
        return this.#update();
      case "finishing":
      case "over":
        this.#remove(conn);
        return this.#update();
    }
  }

  #enter(conn: Connection): void {
    this.#open++;
    conn.open = true;
    this.#pending.enter(conn);
    if (this.#pending.excess > 0) {
      if (this.options.blind) this.#judgeSoon();
      else this.#judge(conn);
    }
    this.#update();
  }

  /** Without a way to look into sockets: what the next turn of the event loop brings counts. */
  #judgeSoon(): void {
    if (this.#judging) return;
    this.#judging = true;
    setImmediate(() => {
      this.#judging = false;
      this.#judge();
      this.#update();
    });
  }

  /** Closes those that are too many; the one that has just come is spared. */
  #judge(newest?: Connection): void {
    while (this.#pending.excess > 0) {
      const victim = this.#pending.evict(newest);
      if (!victim) return;
      this.#close(victim.conn, { kind: "evicted", as: victim.complete ? "slow" : "silent" });
    }
  }

  #close(conn: Connection, why: Reason): void {
    this.#remove(conn);
    conn.giveUp(why);
  }

  /** The listener closes soon: who is in the kernel's queue now is let in, and may wait for a slot
   *  here. */
  takeQueue(): void {
    this.#last = true;
    this.#update();
  }

  #through(conn: Connection): void {
    if (this.#pending.leave(conn)) this.#update();
  }

  #remove(conn: Connection): void {
    this.#pending.leave(conn);
    this.#lingering.delete(conn);
    if (!conn.open) return;
    conn.open = false;
    this.#open--;
  }

  /** One more connection could take the last descriptors, or pending ones have all of their part. */
  #scarce(): boolean {
    const { descriptors, each, concurrency, pending, pendingRoom } = this.options;
    if (pendingRoom < pending && this.#pending.size >= pendingRoom) return true;
    const piped = Math.min(concurrency, this.#open - this.#lingering.size + 1);
    return this.#open + 1 + piped * (each - 1) > descriptors;
  }

  /** While descriptors are short accepting pauses, which must not be for the sake of a client that
   *  says nothing. */
  #makeRoom(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#scarce()) {
      const oldest = this.#pending.oldestSilent();
      if (!oldest) return;
      const left = oldest.accepted + SILENT - this.#now();
      if (left > 0) {
        this.#timer = setTimeout(() => this.#update(), left);
        this.#timer.unref();
        return;
      }
      this.#close(oldest, { kind: "evicted", as: "descriptors" });
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
