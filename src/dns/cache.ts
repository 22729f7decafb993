/** Answers remembered until their TTL has run out, within fixed bounds: whoever connects chooses
 *  what is looked up, so neither the number of entries nor their size may be up to them. */

/** How a look-up ended. `nxdomain`: no such name; `nodata`: the name has no such records; `servfail`:
 *  no server gave a usable answer; `timeout`: none within the time; `loop`: its CNAMEs never end;
 *  `badname`: not a name the DNS can hold; `busy`: too many look-ups wait already; `aborted`: the
 *  caller, or the resolver's end, called it off. */
export type LookupStatus =
  | "found"
  | "nxdomain"
  | "nodata"
  | "servfail"
  | "timeout"
  | "loop"
  | "badname"
  | "busy"
  | "aborted";

export interface LookupResult {
  status: LookupStatus;
  /** Addresses or names, in the order of the answer; empty unless found. */
  values: readonly string[];
}

interface Entry {
  lookup: LookupResult;
  /** On the clock of the resolver, in milliseconds. */
  expires: number;
  /** Characters held, roughly. */
  size: number;
}

/** Entries kept: at a few hundred bytes each this is about a megabyte. */
const MAX_ENTRIES = 4096;
/** Characters kept over all entries. */
const MAX_SIZE = 1_000_000;
/** Characters of the largest entry kept. The largest answer that codec/dns/message.ts decodes fits in: one that
 *  could not be kept would cost its decoding again for every connection. */
export const MAX_ENTRY_SIZE = 32_768;

/** Oldest out first, when full. */
export class ResolverCache {
  readonly #entries = new Map<string, Entry>();
  #size = 0;

  /** What is remembered under `key` and still holds at `now`. */
  get(key: string, now: number): LookupResult | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (now < entry.expires) return entry.lookup;
    this.#drop(key, entry);
    return undefined;
  }

  /** Remembers `lookup` until `expires`, in the milliseconds of `get`'s `now`. */
  set(key: string, lookup: LookupResult, expires: number): void {
    const old = this.#entries.get(key);
    if (old !== undefined) this.#drop(key, old);
    const size = lookup.values.reduce((sum, value) => sum + value.length + 1, key.length);
    if (size > MAX_ENTRY_SIZE) return;
    this.#entries.set(key, { lookup, expires, size });
    this.#size += size;
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= MAX_ENTRIES && this.#size <= MAX_SIZE) break;
      this.#drop(oldest, entry);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#size = 0;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Characters held, never above the bound. */
  get size(): number {
    return this.#size;
  }

  #drop(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#size -= entry.size;
  }
}
