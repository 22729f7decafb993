/** Remembers when addresses connected, for MAXCONRATE. In memory, bounded.
 *  Exact: never more than n connections in any s seconds, where a bucket or a fixed window would
 *  let nearly 2n through. Only admitted connections count, so a client that keeps trying gets n
 *  in s seconds and not none.
 *
 *  A flood from many addresses fills the memory. Then the address seen longest ago is forgotten
 *  and starts afresh. That is the harmless side: whoever commands more addresses than fit is not
 *  held by a limit per address anyway, while refusing new ones would lock out everybody else. */

/** Times kept in all: 8 MB of numbers. Few addresses with large counts reach this first. */
const MAX_TIMES = 1_000_000;

interface Entry {
  /** When connections were admitted, oldest first, milliseconds; the newest `keep` of them. */
  readonly times: number[];
  /** One more than the largest count asked for: older times decide nothing. */
  keep: number;
  /** When the last of them stops mattering. */
  ends: number;
}

export class RateMemory {
  /** In order of use: the first was used longest ago. */
  readonly #entries = new Map<string, Entry>();
  #times = 0;

  constructor(readonly now: () => number, readonly maxAddresses: number) {}

  /** Addresses remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** Times remembered, of all addresses. */
  get times(): number {
    return this.#times;
  }

  /** Whether one more connection of `address` keeps within `rate`; remembers it if so. With
   *  `counted` it is already among those remembered (an earlier rate admitted it). */
  allows(address: string, rate: Rate, counted: boolean): boolean {
    const now = this.now();
    const since = now - 1000 * rate.seconds;
    const entry = this.#entries.get(address) ?? { times: [], keep: 0, ends: 0 };
    const kept = this.#entries.delete(address) ? entry.times.length : 0;
    const others = entry.times.length - (counted ? 1 : 0);
    const nth = entry.times[others - rate.count];
    const allowed = others < rate.count || nth === undefined || nth <= since;
    if (allowed && !counted) entry.times.push(now);
    entry.keep = Math.max(entry.keep, rate.count + 1);
    if (entry.times.length > entry.keep) entry.times.shift();
    entry.ends = Math.max(entry.ends, now + 1000 * rate.seconds);
    this.#times += entry.times.length - kept;
    this.#entries.set(address, entry);
    this.#forget(now);
    return allowed;
  }

  /** Drops what has ended, a few at a time, and what is over the bounds. */
  #forget(now: number): void {
    let looked = 0;
    for (const [address, entry] of this.#entries) {
      const full = this.#entries.size > this.maxAddresses || this.#times > MAX_TIMES;
      if (!full && (entry.ends > now || ++looked > 2)) break;
      this.#entries.delete(address);
      this.#times -= entry.times.length;
    }
  }
}

/** MAXCONRATE: at most `count` new connections in `seconds`. */
export interface Rate {
  readonly count: number;
  readonly seconds: number;
}
