/** A time limit for all connections, with one timer: the idle limit (-w), and that of handshakes
 *  (-T). A timer for each connection would use more memory than the rest of its relay, and time to
 *  set and clear. Knows nothing of connections. */

/** Something with a timeout. */
export interface Watched {
  /** When it last had traffic, by `IdleTimer.now`. */
  last: number;
  /** Called when there was no traffic for the whole limit. Must call `IdleTimer.forget`, or set
   *  `last` anew. */
  timedOut(): void;
}

/** How late an idle timeout may be found, as a fraction of the limit. So one check serves timeouts
 *  that end at nearly the same time. */
const MAX_LATENESS = 0.01;

export class IdleTimer {
  /** In milliseconds. */
  readonly limit: number;
  readonly #watched = new Set<Watched>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(seconds: number) {
    this.limit = seconds * 1000;
  }

  now(): number {
    return performance.now();
  }

  add(one: Watched): void {
    this.#watched.add(one);
    this.#timer ??= setTimeout(this.#check, this.limit).unref();
  }

  /** The timer goes on: the next connection usually comes before it ends. */
  forget(one: Watched): void {
    this.#watched.delete(one);
  }

  readonly #check = (): void => {
    this.#timer = undefined;
    const now = this.now();
    let first = now + this.limit;
    for (const one of this.#watched) {
      if (now - one.last >= this.limit) one.timedOut();
      else if (one.last + this.limit < first) first = one.last + this.limit;
    }
    if (this.#watched.size === 0) return;
    const next = Math.max(first - now, this.limit * MAX_LATENESS);
    this.#timer = setTimeout(this.#check, next).unref();
  };
}
