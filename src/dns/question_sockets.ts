/** The descriptors for questions to DNS and ident servers, given out in the order of requests.
 *  Their number is part of the budget (accept/descriptors.ts). */

import { type Clock, systemClock } from "./clock.ts";

/** Milliseconds after which a question must give its descriptor to one that waits. A DNS server
 *  that is up has answered by then. */
const QUESTION_TIME = 1000;

/** A question that has a descriptor or waits for one. */
interface Asker {
  begin(): void;
  giveWay(): void;
  since: number;
}

/** Gives out the descriptors. */
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

  /** Calls `begin` when a descriptor is free, perhaps before this returns. Calls `giveWay` if other
   *  questions wait and this one has had its descriptor for QUESTION_TIME. The returned function
   *  returns the descriptor or ends the wait. Call it when the socket is closed. */
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

  /** Asks the holders that have exceeded QUESTION_TIME to give way, the oldest first, while others
   *  wait. */
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
