/** Values by the settings that they were made for. Those of the server's own settings stay; a rules file
 *  can name any number of others, of which the one unused longest makes room. */

export class RecentlyUsed<V> {
  readonly #lasting = new Map<string, V>();
  readonly #others = new Map<string, V>();

  /** `most`: values kept beside those that stay. */
  constructor(readonly most: number) {}

  get(key: string): V | undefined {
    const lasting = this.#lasting.get(key);
    if (lasting !== undefined) return lasting;
    const other = this.#others.get(key);
    if (other !== undefined) this.#touch(key, other);
    return other;
  }

  /** Keeps `value` until the end. */
  addLasting(key: string, value: V): void {
    this.#lasting.set(key, value);
  }

  /** Keeps `value` while it is used more often than others. */
  add(key: string, value: V): void {
    this.#touch(key, value);
    if (this.#others.size <= this.most) return;
    for (const oldest of this.#others.keys()) return void this.#others.delete(oldest);
  }

  /** Those that stay. */
  lasting(): Iterable<V> {
    return this.#lasting.values();
  }

  /** All of them. */
  *all(): Iterable<V> {
    yield* this.#lasting.values();
    yield* this.#others.values();
  }

  #touch(key: string, value: V): void {
    this.#others.delete(key);
    this.#others.set(key, value);
  }
}
