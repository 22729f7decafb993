/** How long to wait before a worker is started again: not at all after one that has served for a
 *  while, and longer each time if workers die at once. */

/** A worker that has served this long did not fail at start. In milliseconds. */
const STABLE = 500;
const FIRST_DELAY = 100;
const MAX_DELAY = 10_000;

export interface Backoff {
  /** A worker serves. */
  began(): void;
  /** A worker has died or could not start. Returns the milliseconds to wait before the next
   *  start. */
  delay(): number;
}

/** `now`: milliseconds of a clock that never goes back. */
export function backoff(now: () => number): Backoff {
  let next = 0;
  let since: number | undefined;
  return {
    began() {
      since = now();
    },
    delay() {
      const served = since !== undefined && now() - since >= STABLE;
      since = undefined;
      const wait = served ? 0 : next;
      next = Math.min(Math.max(FIRST_DELAY, wait * 2), MAX_DELAY);
      return wait;
    },
  };
}
