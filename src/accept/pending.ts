/** The connections that are not through admission and handshake, and which of them goes when they are
 *  too many. The policy is explained in gate.ts. In memory; no I/O but `isHelloComplete`. */

import type { Connection } from "../connection.ts";

/** Silent connections younger than this are spared while a handshake is older, in milliseconds. */
const SPARED = 1000;

export interface PendingOptions {
  /** --pending. */
  readonly limit: number;
  /** Milliseconds, as performance.now(). */
  readonly now: () => number;
  /** True when the ClientHello of a connection is complete with what lies unread in its socket. */
  readonly isHelloComplete: (conn: Connection) => boolean;
}

/** One that has to go. */
export interface Victim {
  readonly conn: Connection;
  /** Its ClientHello was complete. */
  readonly complete: boolean;
}

export class Pending {
  /** Whose ClientHello is incomplete, in the order in which they came. */
  readonly #silent = new Set<Connection>();
  /** Whose ClientHello is complete, in the order in which it was, and since when. */
  readonly #complete = new Map<Connection, number>();

  constructor(readonly o: PendingOptions) {}

  get size(): number {
    return this.#silent.size + this.#complete.size;
  }

  get excess(): number {
    return this.size - this.o.limit;
  }

  enter(conn: Connection): void {
    this.#silent.add(conn);
  }

  /** Its ClientHello is complete. */
  complete(conn: Connection): void {
    if (this.#silent.delete(conn)) this.#complete.set(conn, this.o.now());
  }

  /** False: it was not there. */
  leave(conn: Connection): boolean {
    return this.#silent.delete(conn) || this.#complete.delete(conn);
  }

  /** The one that has to go, but not `newest`; it is counted no more. */
  evict(newest?: Connection): Victim | undefined {
    const young = this.o.now() - SPARED;
    const silent = this.oldestSilent(newest);
    const [[late, since] = []] = this.#complete;
    // One that waits for its slot waits for us.
    const stalled = late?.slot !== undefined && since !== undefined && since <= young;
    const complete = !silent || (silent.accepted > young && stalled);
    const conn = complete ? late : silent;
    if (!conn) return undefined;
    this.leave(conn);
    return { conn, complete };
  }

  /** The oldest whose ClientHello is incomplete, other than `newest`. Those found complete on the way are
   *  remembered: each is looked at once. */
  oldestSilent(newest?: Connection): Connection | undefined {
    for (const conn of this.#silent) {
      if (conn === newest) continue;
      if (!this.o.isHelloComplete(conn)) return conn;
      this.complete(conn);
    }
    return undefined;
  }
}
