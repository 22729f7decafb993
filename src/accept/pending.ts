/** The connections that have not completed admission and handshake. If there are too many,
 *  selects the one to close. gate.ts explains the policy. In memory; no I/O except
 *  `isHelloComplete`. */

import type { Connection } from "../connection.ts";

/** In milliseconds. A silent connection younger than this is spared if a handshake is older. */
const SPARED_AGE = 1000;

export interface PendingOptions {
  /** --pending. */
  readonly limit: number;
  /** Milliseconds, as performance.now(). */
  readonly now: () => number;
  /** True if the ClientHello of a connection is complete, including unread bytes in its socket. */
  readonly isHelloComplete: (conn: Connection) => boolean;
}

/** A connection to close. */
export interface Victim {
  readonly conn: Connection;
  /** Its ClientHello was complete. */
  readonly complete: boolean;
}

export class Pending {
  /** Connections with an incomplete ClientHello, in the order of arrival. */
  readonly #silent = new Set<Connection>();
  /** Connections with a complete ClientHello, in the order of completion, and the time of it. */
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

  /** Records that the ClientHello of `conn` is complete. */
  complete(conn: Connection): void {
    if (this.#silent.delete(conn)) this.#complete.set(conn, this.o.now());
  }

  /** Removes `conn`. False if it was not pending. */
  leave(conn: Connection): boolean {
    return this.#silent.delete(conn) || this.#complete.delete(conn);
  }

  /** Selects the connection to close, other than `newest`, and removes it. */
  evict(newest?: Connection): Victim | undefined {
    const sparedSince = this.o.now() - SPARED_AGE;
    const silent = this.oldestSilent(newest);
    const [[oldest, since] = []] = this.#complete;
    // A connection without a slot waits for the server: the client is not to blame.
    const stalled = oldest?.slot !== undefined && since !== undefined && since <= sparedSince;
    const complete = !silent || (silent.accepted > sparedSince && stalled);
    const conn = complete ? oldest : silent;
    if (!conn) return undefined;
    this.leave(conn);
    return { conn, complete };
  }

  /** The oldest connection with an incomplete ClientHello, other than `newest`. Connections found
   *  complete in the search are recorded as such, so each is checked only once. */
  oldestSilent(newest?: Connection): Connection | undefined {
    for (const conn of this.#silent) {
      if (conn === newest) continue;
      if (!this.o.isHelloComplete(conn)) return conn;
      this.complete(conn);
    }
    return undefined;
  }
}
