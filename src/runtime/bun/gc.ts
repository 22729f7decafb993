/** Memory after a burst, on Bun. The collector runs when much has been allocated: what a thousand
 *  handshakes and starts left behind would stay as long as their connections are idle. */

import { bun } from "./types.ts";

/** Connections and programs whose leavings are worth a collection. It takes 10 ms, and 40 with five
 *  thousand connections; and the engine forgets what it has compiled. */
const MANY = 200;
/** It waits until nothing new has begun for so long, in milliseconds: nobody is kept waiting by it who
 *  has just come, and a busy server needs none. Where many are idle it shall be soon; where they have
 *  gone, the next burst is better served by what is compiled. */
const QUIET = 1000;
const SILENT = 15_000;
/** What the first collection lets go of, a second gives back to the system; so long after it. */
const AGAIN = 300;

/** Since the last collection. */
let begun = 0;
/** Begun and not over. */
let open = 0;
/** A burst larger than any before is also collected after while it lasts, when so many are open: what
 *  stays of it would else lie scattered over all the memory that the burst took. */
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
  if (begun >= MANY) timer ??= setTimeout(tidy, QUIET).unref();
}

/** It is over. */
export function connectionEnded(): void {
  open--;
}

function tidy(): void {
  timer = undefined;
  const left = last + (open < MANY ? SILENT : QUIET) - performance.now();
  if (left > 0) {
    timer = setTimeout(tidy, Math.min(left, QUIET)).unref();
    return;
  }
  begun = 0;
  bun.gc(true);
  setTimeout(() => bun.gc(true), AGAIN).unref();
}
