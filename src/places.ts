/** The -c places: how many programs may run at once, first come first served. In memory; no I/O. One
 *  instance counts for the whole server. */

/** One who waits. */
type Waiter = (giveBack: () => void) => void;

export class Places {
  /** Called when `running` or `waiting` has changed. */
  onChange: () => void = () => {};
  /** In order. A set: any of them may go. */
  readonly #waiting = new Set<Waiter>();
  #running = 0;

  constructor(readonly limit: number) {}

  /** Places that are taken. */
  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get full(): boolean {
    return this.#running >= this.limit;
  }

  /** A place, as `take` gives it, if there is one and nobody waits. */
  takeNow(): (() => void) | undefined {
    if (this.full || this.#waiting.size > 0) return undefined;
    const giveBack = this.#place();
    this.onChange();
    return giveBack;
  }

  /** Waits for a place. The function it gives returns the place; only its first call counts. Rejects
   *  when `signal` aborts. */
  take(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(new Error(String(signal.reason)));
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        reject(new Error(String(signal.reason)));
        this.onChange();
      };
      const waiter: Waiter = (giveBack) => {
        signal.removeEventListener("abort", leave);
        resolve(giveBack);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.add(waiter);
      this.#fill();
    });
  }

  #fill(): void {
    for (const waiter of this.#waiting) {
      if (this.full) break;
      this.#waiting.delete(waiter);
      waiter(this.#place());
    }
    this.onChange();
  }

  #place(): () => void {
    this.#running++;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#running--;
      this.#fill();
    };
  }
}
