/** Time for what waits and expires in look-ups and ident, so that tests can make it pass. */

export interface Clock {
  /** Milliseconds that never run backwards. */
  now(): number;
  /** Runs `due` once after `ms` milliseconds; the returned function calls it off. */
  after(ms: number, due: () => void): () => void;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, due) {
    const timer = setTimeout(due, ms);
    return () => clearTimeout(timer);
  },
};
