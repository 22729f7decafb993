/** Caches answers until their TTL expires, within fixed bounds. Clients determine what is looked
 *  up, so both the number and the size of the entries are limited. */

/** The outcome of a look-up. `nxdomain`: no such name; `nodata`: the name has no such records;
 *  `servfail`: no server gave a usable answer; `timeout`: no answer in time; `loop`: its CNAMEs
 *  do not end; `badname`: not a valid DNS name; `busy`: too many look-ups are waiting;
 *  `aborted`: the caller cancelled it, or the resolver was closed. */
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
  /** In milliseconds of the resolver's clock. */
  expires: number;
  /** Characters of key and values. */
  size: number;
}

/** Maximum number of entries. At a few hundred bytes each, this is about a megabyte. */
const MAX_ENTRIES = 4096;
/** Maximum number of characters of all entries together. */
const MAX_SIZE = 1_000_000;
/** Characters of the largest entry. The largest answer that codec/dns/message.ts decodes fits in:
 *  otherwise it would be decoded again for every connection. */
export const MAX_ENTRY_SIZE = 32_768;

/** When full, drops the oldest entries. */
export class ResolverCache {
  readonly #entries = new Map<string, Entry>();
  #size = 0;

  /** The entry of `key`, unless it has expired at `now`. */
  get(key: string, now: number): LookupResult | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (now < entry.expires) return entry.lookup;
    this.#drop(key, entry);
    return undefined;
  }

  /** Stores `lookup` until `expires`, in milliseconds of the same clock as `now`. */
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
