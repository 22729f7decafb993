/** Clients whose program has ended, or whose idle limit has run out, until their sockets are
 *  closed.
 *
 *  Such a client gets time to read the remaining output and to close, but less than the idle limit:
 *  if it reads nothing, it is closed within seconds. All of them together are limited in number and
 *  in bytes. One timer serves all. Knows nothing of connections. */

/** How long a client that has read everything may take to close, in milliseconds. What it still
 *  sends is read and dropped: closing a socket with unread bytes makes the system send a reset, and
 *  a reset can overtake output that the client has not read yet (RFC 1122 4.2.2.13). */
const CLOSE_TIMEOUT = 10_000;
/** How long a client that has not read everything may read nothing, in milliseconds. */
const STALL_TIMEOUT = 30_000;
/** How often all clients are checked, in milliseconds. */
const CHECK_INTERVAL = 1000;
/** How many clients may linger if -c is smaller. */
const MIN_CAPACITY = 256;
/** Limit on the bytes that all lingering clients together leave unread in the system's buffers. */
const MAX_BYTES = 64 << 20;

/** A client that lingers. */
export interface LingeringClient {
  /** All output has been handed to the system, our end of data included. */
  readonly outputDone: boolean;
  /** Output waits because the client does not read. */
  readonly full: boolean;
  /** When output or input last moved, by `performance.now()`. */
  readonly last: number;
  /** Bytes that the client has not acknowledged; undefined if the system cannot tell. */
  unsent(): number | undefined;
  /** Closes the client, whose time is up. `allRead`: it has read everything. By then `Lingering` has
   *  forgotten it. */
  expire(allRead: boolean): void;
}

/** The progress of one client. */
interface State {
  unsent: number | undefined;
  /** When the client last read something, or there was nothing for it to read. */
  moved: number;
}

export class Lingering {
  readonly #all = new Map<LingeringClient, State>();
  readonly #capacity: number;
  /** Sum of the unsent bytes at the last check. */
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `concurrency`: -c. `limit`: the idle limit in milliseconds, an upper limit for both times.
   *  `room`: for how many clients there are file descriptors (accept/descriptors.ts).
   *  `closeTimeout`: how long a client that has read everything may take to close, in
   *  milliseconds. */
  constructor(
    concurrency: number,
    readonly limit: number,
    readonly now: () => number = () => performance.now(),
    room = Infinity,
    readonly closeTimeout = CLOSE_TIMEOUT,
  ) {
    this.#capacity = Math.min(room, Math.max(MIN_CAPACITY, concurrency));
  }

  get size(): number {
    return this.#all.size;
  }

  /** Adds a client. Does nothing if it lingers already. */
  add(client: LingeringClient): void {
    if (this.#all.has(client)) return;
    const unsent = client.unsent();
    this.#all.set(client, { unsent, moved: this.now() });
    this.#bytes += unsent ?? 0;
    if (this.#all.size > this.#capacity || this.#bytes > MAX_BYTES) this.check();
    this.#timer ??= setTimeout(this.#tick, CHECK_INTERVAL).unref();
  }

  /** The timer goes on: the next client usually lingers before it ends. */
  forget(client: LingeringClient): void {
    const state = this.#all.get(client);
    if (!state) return;
    this.#all.delete(client);
    this.#bytes -= state.unsent ?? 0;
    if (this.#all.size === 0) this.#bytes = 0;
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    this.check();
    if (this.#all.size > 0) this.#timer ??= setTimeout(this.#tick, CHECK_INTERVAL).unref();
  };

  /** Checks the progress of all clients. Closes those whose time is up, and some if there are too
   *  many. */
  check(): void {
    const now = this.now();
    this.#bytes = 0;
    for (const [client, state] of this.#all) {
      this.#update(client, state, now);
      this.#bytes += state.unsent ?? 0;
    }
    for (const [client, { unsent, moved }] of this.#all) {
      const timeout = Math.min(
        client.outputDone && unsent === 0 ? this.closeTimeout : STALL_TIMEOUT,
        this.limit,
      );
      if (now - moved >= timeout) this.#expire(client);
    }
    this.#closeExcess();
  }

  #update(client: LingeringClient, state: State, now: number): void {
    const unsent = client.unsent();
    const idle = !client.outputDone && (unsent === undefined ? !client.full : unsent === 0);
    // A client with nothing to read is not slow: the program's output is still open and may bring
    // more.
    if (idle || unsent !== state.unsent) state.moved = now;
    else if (unsent === undefined) state.moved = Math.max(state.moved, client.last);
    state.unsent = unsent;
  }

  /** Closes clients when there are too many, or too many bytes. Clients that have read everything
   *  lose nothing, so they are closed first, the oldest first; then those that have read nothing
   *  for longest; steady readers last. Closes an eighth more than necessary, so that not every new
   *  client causes a check of all. */
  #closeExcess(): void {
    const tooMany = this.#all.size > this.#capacity;
    if (!tooMany && this.#bytes <= MAX_BYTES) return;
    const target = tooMany ? this.#capacity - (this.#capacity >> 3) : this.#capacity;
    const rank = ([client, { unsent, moved }]: [LingeringClient, State]): number =>
      client.outputDone && unsent === 0 ? -1 : moved;
    const order = [...this.#all].sort((a, b) => rank(a) - rank(b));
    for (const [client] of order) {
      if (this.#all.size <= target && this.#bytes <= MAX_BYTES) return;
      this.#expire(client);
    }
  }

  #expire(client: LingeringClient): void {
    const state = this.#all.get(client);
    this.forget(client);
    client.expire(client.outputDone && state?.unsent === 0);
  }
}
