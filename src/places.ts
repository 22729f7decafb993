/** The -c places: how many programs may run at once, first come first served. In memory; no I/O. One
 *  instance counts for the whole server. */

/** One who waits. */
interface Waiter {
  readonly resolve: (giveBack: () => void) => void;
  readonly signal: AbortSignal;
}

export class Places {
  /** Called when `running` or `waiting` has changed. */
  onChange: () => void = () => {};
  readonly #waiting: Waiter[] = [];
  #running = 0;

  constructor(readonly limit: number) {}

  /** Places that are taken. */
  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get full(): boolean {
    return this.#running >= this.limit;
  }

  /** Waits for a place. The function it gives returns the place; only its first call counts. Rejects
   *  when `signal` aborts. */
  take(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(new Error(String(signal.reason)));
    return new Promise((resolve, reject) => {
      const waiter = { resolve, signal };
      signal.addEventListener("abort", () => {
        const at = this.#waiting.indexOf(waiter);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(new Error(String(signal.reason)));
        if (at >= 0) this.onChange();
      });
      this.#waiting.push(waiter);
      this.#fill();
    });
  }

  #fill(): void {
    while (!this.full) {
      const waiter = this.#waiting.shift();
      if (!waiter) break;
      this.#running++;
      let given = false;
      waiter.resolve(() => {
        if (given) return;
        given = true;
        this.#running--;
        this.#fill();
      });
    }
    this.onChange();
  }
}
