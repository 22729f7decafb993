/** The idle limit (-w) of all connections, for the price of one timer: a timer each would cost more
 *  memory than all else that the relay keeps. Knows nothing of connections. */

/** Somebody who must not be silent for too long. */
export interface Watched {
  /** When it was last heard: what `IdleTimer.now` said. */
  last: number;
  /** It has been silent for as long as may be. It forgets itself, or has been heard after all. */
  silent(): void;
}

/** How late somebody may be found, as a part of the limit: those who fall silent one after the other
 *  are then found together. */
const LATE = 0.01;

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
    this.#timer ??= setTimeout(this.#look, this.limit);
  }

  forget(one: Watched): void {
    if (!this.#watched.delete(one) || this.#watched.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    const now = this.now();
    let first = now + this.limit;
    for (const one of this.#watched) {
      if (now - one.last >= this.limit) one.silent();
      else if (one.last + this.limit < first) first = one.last + this.limit;
    }
    if (this.#watched.size === 0) return;
    this.#timer = setTimeout(this.#look, Math.max(first - now, this.limit * LATE));
  };
}
