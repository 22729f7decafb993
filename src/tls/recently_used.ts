/** A cache of values by their settings. Values of the server's own settings stay. A rules file can
 *  name any number of other settings; the least recently used of these is dropped. */

export class RecentlyUsed<V> {
  readonly #lasting = new Map<string, V>();
  readonly #others = new Map<string, V>();

  /** `most`: maximum number of values besides those that stay. */
  constructor(readonly most: number) {}

  get(key: string): V | undefined {
    const lasting = this.#lasting.get(key);
    if (lasting !== undefined) return lasting;
    const other = this.#others.get(key);
    if (other !== undefined) this.#touch(key, other);
    return other;
  }

  /** Keeps `value` permanently. */
  addLasting(key: string, value: V): void {
    this.#lasting.set(key, value);
  }

  /** Keeps `value` until `most` others have been used more recently. */
  add(key: string, value: V): void {
    this.#touch(key, value);
    if (this.#others.size <= this.most) return;
    for (const oldest of this.#others.keys()) return void this.#others.delete(oldest);
  }

  /** The values that stay. */
  lasting(): Iterable<V> {
    return this.#lasting.values();
  }

  /** All values. */
  *all(): Iterable<V> {
    yield* this.#lasting.values();
    yield* this.#others.values();
  }

  #touch(key: string, value: V): void {
    this.#others.delete(key);
    this.#others.set(key, value);
  }
}
