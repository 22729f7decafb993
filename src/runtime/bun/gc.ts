/** Frees memory after a burst, on Bun. The garbage collector runs only when much is allocated: the
 *  garbage of a thousand handshakes and starts would stay for as long as their connections are
 *  idle. */

import { bun } from "./types.ts";

/** Number of new connections and programs after which a collection is worth its price. It takes 10
 *  ms, or 40 ms with five thousand connections, and drops compiled code. */
const BURST = 200;
/** A collection waits until no connection or program has begun for this long, in milliseconds, so
 *  that it delays no new client. `QUIET_TIME`: while many connections are open, to free memory soon.
 *  `IDLE_TIME`: when few are open, because the next burst runs faster with the compiled code. */
const QUIET_TIME = 1000;
const IDLE_TIME = 15_000;
/** Milliseconds until a second collection, which returns to the system what the first one freed. */
const SECOND_PASS = 300;

/** Connections and programs begun since the last collection. */
let begun = 0;
/** Connections and programs that have begun and not ended. */
let open = 0;
/** At this many open ones, also collect during a burst: surviving objects would otherwise be
 *  scattered over all the memory that the burst used. Doubled each time. */
let next = 250;
let last = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** A connection or a program has begun. */
export function connectionBegan(): void {
  last = performance.now();
  begun++;
  if (++open >= next) {
    next *= 2;
    setImmediate(() => bun.gc(true));
  }
  if (begun >= BURST) timer ??= setTimeout(collectWhenQuiet, QUIET_TIME).unref();
}

/** A connection or a program has ended. */
export function connectionEnded(): void {
  open--;
}

function collectWhenQuiet(): void {
  timer = undefined;
  const left = last + (open < BURST ? IDLE_TIME : QUIET_TIME) - performance.now();
  if (left > 0) {
    timer = setTimeout(collectWhenQuiet, Math.min(left, QUIET_TIME)).unref();
    return;
  }
  begun = 0;
  bun.gc(true);
  setTimeout(() => bun.gc(true), SECOND_PASS).unref();
}
