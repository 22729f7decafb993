/** Remembers when addresses connected, for MAXCONRATE. In memory, bounded.
 *  The limit is exact: at most n connections in any s seconds. A bucket or a fixed window would
 *  admit nearly 2n. Only admitted connections count, so a client that keeps trying gets n
 *  connections in s seconds instead of none.
 *
 *  A flood from many addresses fills the memory. Then the least recently used address is
 *  forgotten and starts again. This is the safer choice: a limit per address cannot stop an
 *  attacker with more addresses than fit, and refusing new addresses would lock out all other
 *  clients. */

/** Maximum number of times for all addresses: 8 MB of numbers. A few addresses with large counts can
 *  reach this limit before the number of addresses reaches `maxAddresses`. */
const MAX_TIMES = 1_000_000;

interface Entry {
  /** When connections were admitted, in milliseconds, oldest first: the newest `keep` times. */
  readonly times: number[];
  /** One more than the largest count asked for. Older times do not affect a decision. */
  keep: number;
  /** When the last of the times expires, in milliseconds. */
  ends: number;
}

export class RateMemory {
  /** In order of use: the first is the least recently used. */
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

  /** True if one more connection of `address` is within `rate`; then remembers it. With `counted`
   *  the connection is already remembered, because an earlier rate admitted it. */
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

  /** Drops expired entries, a few at a time, and the entries that exceed the bounds. */
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
