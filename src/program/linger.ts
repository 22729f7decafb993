/** Clients whose program has ended, or whose idle limit has run out, until their sockets are closed.
 *
 *  A client may take its time to read what is left and to close, but not as long as the idle limit
 *  allows: one that takes nothing has seconds, and all of them together are bounded in number and in
 *  bytes. One timer looks after all. Knows nothing of connections. */

/** How long a client that has everything may take to close, in milliseconds. What it still sends is
 *  read and dropped: to close with bytes unread makes the system send a reset, and a reset can
 *  overtake output that the client has not read yet (RFC 1122 4.2.2.13). */
const CLOSE = 10_000;
/** How long one that does not have everything may take nothing, in milliseconds. */
const STALL = 30_000;
/** How often all are looked at, in milliseconds. */
const LOOK = 1000;
/** As many may linger, if -c is not larger. */
const MANY = 256;
/** Bytes that all of them together may leave unread in the system's buffers. */
const MAX_BYTES = 64 << 20;

/** A client that lingers. */
export interface LingeringClient {
  /** All that there is for it has been handed to the system, our end of data included. */
  readonly sent: boolean;
  /** Output waits until the client takes some. */
  readonly full: boolean;
  /** When output or input last moved, by `performance.now()`. */
  readonly last: number;
  /** Bytes that it has not acknowledged; undefined where the system cannot tell. */
  unsent(): number | undefined;
  /** Its time is up. `taken`: it has everything. It forgets itself. */
  dismiss(taken: boolean): void;
}

/** What is known of one. */
interface State {
  unsent: number | undefined;
  /** When it last took something, or was last not expected to. */
  moved: number;
}

export class Lingering {
  readonly #all = new Map<LingeringClient, State>();
  readonly #most: number;
  /** Bytes that were unsent when they were last looked at. */
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `concurrency`: -c. `limit`: the idle limit, which is never exceeded. In milliseconds. `room`: as
   *  many have descriptors (descriptors.ts). */
  constructor(
    concurrency: number,
    readonly limit: number,
    readonly now: () => number = () => performance.now(),
    room = Infinity,
  ) {
    this.#most = Math.min(room, Math.max(MANY, concurrency));
  }

  get size(): number {
    return this.#all.size;
  }

  /** One more; does nothing for one that lingers already. */
  add(one: LingeringClient): void {
    if (this.#all.has(one)) return;
    const unsent = one.unsent();
    this.#all.set(one, { unsent, moved: this.now() });
    this.#bytes += unsent ?? 0;
    if (this.#all.size > this.#most || this.#bytes > MAX_BYTES) this.look();
    this.#timer ??= setTimeout(this.#tick, LOOK);
  }

  forget(one: LingeringClient): void {
    const state = this.#all.get(one);
    if (!state) return;
    this.#all.delete(one);
    this.#bytes -= state.unsent ?? 0;
    if (this.#all.size > 0) return;
    this.#bytes = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    this.look();
    if (this.#all.size > 0) this.#timer ??= setTimeout(this.#tick, LOOK);
  };

  /** Finds out what has moved, and sends away whose time is up and who is too many. */
  look(): void {
    const now = this.now();
    this.#bytes = 0;
    for (const [one, state] of this.#all) {
      this.#update(one, state, now);
      this.#bytes += state.unsent ?? 0;
    }
    for (const [one, { unsent, moved }] of this.#all) {
      const patience = Math.min(one.sent && unsent === 0 ? CLOSE : STALL, this.limit);
      if (now - moved >= patience) this.#dismiss(one);
    }
    this.#thin();
  }

  #update(one: LingeringClient, state: State, now: number): void {
    const unsent = one.unsent();
    const idle = !one.sent && (unsent === undefined ? !one.full : unsent === 0);
    // One for whom nothing waits is not slow: the output's other end is still open.
    if (idle || unsent !== state.unsent) state.moved = now;
    else if (unsent === undefined) state.moved = Math.max(state.moved, one.last);
    state.unsent = unsent;
  }

  /** Too many, or too many bytes: those who have everything lose nothing, so the oldest of them go
   *  first; then those who have taken nothing for longest. A steady reader goes last. Some more go than
   *  must, so that not every newcomer causes a look at all. */
  #thin(): void {
    const crowded = this.#all.size > this.#most;
    if (!crowded && this.#bytes <= MAX_BYTES) return;
    const most = crowded ? this.#most - (this.#most >> 3) : this.#most;
    const rank = ([one, { unsent, moved }]: [LingeringClient, State]): number =>
      one.sent && unsent === 0 ? -1 : moved;
    const order = [...this.#all].sort((a, b) => rank(a) - rank(b));
    for (const [one] of order) {
      if (this.#all.size <= most && this.#bytes <= MAX_BYTES) return;
      this.#dismiss(one);
    }
  }

  #dismiss(one: LingeringClient): void {
    const state = this.#all.get(one);
    this.forget(one);
    one.dismiss(one.sent && state?.unsent === 0);
  }
}
