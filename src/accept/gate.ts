/** Decides which connections are accepted, wait or are closed. THE ADMISSION POLICY:
 *
 *  - While slots (-c) are free, connections are accepted. Otherwise, and while descriptors are short,
 *    clients wait in the kernel's queue, and none is refused. A connection takes a slot when its
 *    ClientHello is complete and admission is over, in that order, and then begins its handshake. So
 *    handshakes and programs together are never more than -c. With -n there is no ClientHello before
 *    the program, and the connection takes its slot after admission.
 *  - At most --pending connections have not completed admission and handshake. When there is one too
 *    many, the oldest one with an incomplete ClientHello is closed. If the ClientHellos of all others
 *    are complete, the one that has been complete longest is closed. A handshake older than a second
 *    is closed before a silent connection younger than a second.
 *  - A ClientHello also counts as complete if it is not read yet: during name look-ups it stays in the
 *    socket, and a busy server may not have read it. So the socket is checked before a connection is
 *    closed.
 *
 *  An honest client sends its ClientHello within a round trip of its connection. It becomes the oldest
 *  only after --pending others have connected: with 1,000 and a round trip of 200 ms, this takes 5,000
 *  connections a second. A part of a ClientHello gives a client no advantage. A client that sends a
 *  ClientHello and then nothing does not hold a slot for long (program/slots.ts), and if there are too
 *  many connections, it is protected for only a second.
 */

import type { Connection, ConnectionObserver, Stage } from "../connection.ts";
import { Pending } from "./pending.ts";
import type { Reason } from "../reason.ts";
import type { Listener } from "../runtime/runtime.ts";

/** Milliseconds after which a silent client is closed for new ones while descriptors are short. */
const SILENT_LIMIT = 1000;

/** What the gate needs to know about the programs. */
export interface GatePrograms {
  /** Calls `changed` when one of the values below has changed. */
  onChange(changed: () => void): void;
  /** Connections that wait for a slot (-c). */
  readonly waiting: number;
  /** True if all slots are taken. */
  readonly full: boolean;
}

export interface GateOptions {
  programs: GatePrograms;
  pending: number;
  /** Descriptors for connections and their programs (descriptors.ts). */
  descriptors: number;
  /** Descriptors of a connection with its program. Without a program it has 1. */
  each: number;
  /** The number of pending connections at which descriptors count as short. */
  pendingRoom: number;
  /** -c. */
  concurrency: number;
  /** See `PendingOptions`. */
  isHelloComplete: (conn: Connection) => boolean;
  /** `isHelloComplete` cannot see unread bytes. */
  cannotPeek?: boolean;
  /** Milliseconds, as performance.now(). */
  now?: () => number;
}

export class Gate implements ConnectionObserver {
  listener: Listener | undefined;
  /** Connections that have not completed admission and handshake. */
  readonly #pending: Pending;
  readonly #now: () => number;
  #open = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Connections whose program has ended and whose client has not closed, or not read everything.
   *  Oldest first. */
  readonly #lingering = new Set<Connection>();
  #paused = false;
  #takingQueue = false;
  #evictScheduled = false;

  constructor(readonly options: GateOptions) {
    const { pending: limit, isHelloComplete, now = () => performance.now() } = options;
    this.#now = now;
    this.#pending = new Pending({ limit, isHelloComplete, now });
    options.programs.onChange(() => this.#update());
  }

  /** All connections, including the lingering ones. */
  get open(): number {
    return this.#open;
  }

  /** The number of connections that have not completed admission and handshake. */
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
        // With -n, the program starts before any ClientHello. Until it runs, the connection counts
        // as one with a complete ClientHello.
        return before === "admission" ? this.#pending.complete(conn) : this.#leavePending(conn);
      case "conversing":
        return this.#leavePending(conn);
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
      if (this.options.cannotPeek) this.#evictSoon();
      else this.#evictExcess(conn);
    }
    this.#update();
  }

  /** If unread bytes cannot be seen: decides after the next event loop turn has read them. */
  #evictSoon(): void {
    if (this.#evictScheduled) return;
    this.#evictScheduled = true;
    setImmediate(() => {
      this.#evictScheduled = false;
      this.#evictExcess();
      this.#update();
    });
  }

  /** Closes excess connections, except `newest`. */
  #evictExcess(newest?: Connection): void {
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

  /** Call this before the listener closes. Connections in the kernel's queue are accepted even if
   *  they must wait for a slot in this process. */
  takeQueue(): void {
    this.#takingQueue = true;
    this.#update();
  }

  #leavePending(conn: Connection): void {
    if (this.#pending.leave(conn)) this.#update();
  }

  #remove(conn: Connection): void {
    this.#pending.leave(conn);
    this.#lingering.delete(conn);
    if (!conn.open) return;
    conn.open = false;
    this.#open--;
  }

  /** True if one more connection could exceed the descriptors, or if the pending connections
   *  have used their part. */
  #scarce(): boolean {
    const { descriptors, each, concurrency, pending, pendingRoom } = this.options;
    if (pendingRoom < pending && this.#pending.size >= pendingRoom) return true;
    const withProgram = Math.min(concurrency, this.#open - this.#lingering.size + 1);
    return this.#open + 1 + withProgram * (each - 1) > descriptors;
  }

  /** Closes silent clients while descriptors are short, so that accepting does not pause because of
   *  them. True if they are still short. */
  #makeRoom(): boolean {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#scarce()) {
      const oldest = this.#pending.oldestSilent();
      if (!oldest) return true;
      const left = oldest.accepted + SILENT_LIMIT - this.#now();
      if (left > 0) {
        this.#timer = setTimeout(() => this.#update(), left);
        this.#timer.unref();
        return true;
      }
      this.#close(oldest, { kind: "evicted", as: "descriptors" });
    }
    return false;
  }

  #update(): void {
    const { programs } = this.options;
    const full = this.#makeRoom() ||
      (!this.#takingQueue && (programs.full || programs.waiting > 0));
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.listener?.pause();
    else this.listener?.resume();
  }
}
