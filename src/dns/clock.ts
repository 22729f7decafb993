/** The clock of timeouts and expiry in look-ups and ident. Tests can replace it. */

export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Runs `due` once after `ms` milliseconds. The returned function cancels it. */
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
