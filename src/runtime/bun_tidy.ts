/** Memory after a burst, on Bun. The collector runs when much has been allocated: what a thousand
 *  handshakes and starts left behind would stay as long as their connections are idle. */

import { bun } from "./bun_types.ts";

/** Connections and programs whose leavings are worth a collection. It takes 10 ms, and 40 with five
 *  thousand connections. */
const MANY = 200;
/** It waits until nothing new has begun for so long, in milliseconds: nobody is kept waiting by it who
 *  has just come, and a busy server needs none. */
const QUIET = 1000;
/** What the first collection lets go of, a second gives back to the system; so long after it. */
const AGAIN = 300;

let begun = 0;
/** A burst larger than any before is also collected after while it lasts, when it has come to so many:
 *  what stays of it would else lie scattered over all the memory that the burst took. */
let next = 250;
let last = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** A connection or a program has begun. */
export function tidyLater(): void {
  last = performance.now();
  if (++begun < MANY) return;
  timer ??= setTimeout(tidy, QUIET).unref();
  if (begun < next) return;
  next *= 2;
  setImmediate(() => bun.gc(true));
}

function tidy(): void {
  timer = undefined;
  const left = last + QUIET - performance.now();
  if (left > 0) {
    timer = setTimeout(tidy, left).unref();
    return;
  }
  begun = 0;
  bun.gc(true);
  setTimeout(() => bun.gc(true), AGAIN).unref();
}
