/** The idle limit (-w) of all connections, with one timer. A timer for each connection would use
 *  more memory than the rest of its relay. Knows nothing of connections. */

/** Something with an idle timeout. */
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
    this.#timer ??= setTimeout(this.#check, this.limit);
  }

  forget(one: Watched): void {
    if (!this.#watched.delete(one) || this.#watched.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
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
    this.#timer = setTimeout(this.#check, Math.max(first - now, this.limit * MAX_LATENESS));
  };
}
