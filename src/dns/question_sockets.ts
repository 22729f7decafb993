/** The descriptors that questions to DNS and ident servers may use, shared in the order of asking. How
 *  many there are is part of the budget (accept/descriptors.ts). */

import { type Clock, systemClock } from "./clock.ts";

/** Milliseconds after which a question gives its descriptor to one that waits. A DNS server that is
 *  there has answered by then. */
const QUESTION_TIME = 1000;

/** One that has a descriptor for its question, or waits for one. */
interface Asker {
  begin(): void;
  giveWay(): void;
  since: number;
}

/** The descriptors for questions to DNS and ident servers, in order of asking. */
export class QuestionSockets {
  readonly #holders = new Set<Asker>();
  readonly #waiting = new Set<Asker>();
  #watching = false;

  constructor(readonly limit = Infinity, readonly clock: Clock = systemClock) {}

  get open(): number {
    return this.#holders.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Calls `begin` when there is a descriptor to open, perhaps before this returns. `giveWay` is
   *  called when others wait and this question has taken long. The function it returns gives the
   *  descriptor back, or ends the wait; it must be called when the socket is closed. */
  take(begin: () => void, giveWay: () => void): () => void {
    const asker: Asker = { begin, giveWay, since: 0 };
    if (this.#holders.size < this.limit) this.#admit(asker);
    else {
      this.#waiting.add(asker);
      this.#press();
    }
    return () => {
      this.#waiting.delete(asker);
      if (!this.#holders.delete(asker)) return;
      const [next] = this.#waiting;
      if (next) this.#admit(next);
    };
  }

  #admit(asker: Asker): void {
    this.#waiting.delete(asker);
    asker.since = this.clock.now();
    this.#holders.add(asker);
    asker.begin();
  }

  /** The holders that have taken long give way to those who wait, the oldest first. */
  #press(): void {
    if (this.#watching) return;
    const now = this.clock.now();
    for (const oldest of this.#holders) {
      if (this.#waiting.size === 0) return;
      const left = oldest.since + QUESTION_TIME - now;
      if (left > 0) {
        this.#watching = true;
        this.clock.after(left, () => {
          this.#watching = false;
          this.#press();
        });
        return;
      }
      oldest.giveWay();
    }
  }
}
