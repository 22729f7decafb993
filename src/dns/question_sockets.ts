/** The descriptors for questions to DNS and ident servers, given out in the order of requests.
 *  Their number is part of the budget (accept/descriptors.ts). */

import { type Clock, systemClock } from "./clock.ts";

/** Milliseconds after which a question must give its descriptor to one that waits. A DNS server
 *  that is up has answered by then. */
const QUESTION_TIME = 1000;

/** A question that has a descriptor or waits for one. */
interface PendingQuestion {
  begin(): void;
  preempt(): void;
  since: number;
}

/** Gives out the descriptors. */
export class QuestionSockets {
  readonly #holders = new Set<PendingQuestion>();
  readonly #waiting = new Set<PendingQuestion>();
  #timerSet = false;

  constructor(readonly limit = Infinity, readonly clock: Clock = systemClock) {}

  get open(): number {
    return this.#holders.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Calls `begin` when a descriptor is free, perhaps before this returns. Calls `preempt` if other
   *  questions wait and this one has had its descriptor for QUESTION_TIME. Returns a function
   *  that gives the descriptor back or ends the wait. Call it when the socket is closed. */
  take(begin: () => void, preempt: () => void): () => void {
    const question: PendingQuestion = { begin, preempt, since: 0 };
    if (this.#holders.size < this.limit) this.#grant(question);
    else {
      this.#waiting.add(question);
      this.#preemptOldest();
    }
    return () => {
      this.#waiting.delete(question);
      if (!this.#holders.delete(question)) return;
      const [next] = this.#waiting;
      if (next) this.#grant(next);
    };
  }

  #grant(question: PendingQuestion): void {
    this.#waiting.delete(question);
    question.since = this.clock.now();
    this.#holders.add(question);
    question.begin();
  }

  /** Asks the holders that have exceeded QUESTION_TIME to give way, the oldest first, while others
   *  wait. */
  #preemptOldest(): void {
    if (this.#timerSet) return;
    const now = this.clock.now();
    for (const oldest of this.#holders) {
      if (this.#waiting.size === 0) return;
      const left = oldest.since + QUESTION_TIME - now;
      if (left > 0) {
        this.#timerSet = true;
        this.clock.after(left, () => {
          this.#timerSet = false;
          this.#preemptOldest();
        });
        return;
      }
      oldest.preempt();
    }
  }
}
