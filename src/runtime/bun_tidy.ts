/** Memory after a burst, on Bun. The collector runs when much has been allocated: what a thousand
 *  handshakes and starts left behind would stay as long as their connections are idle. */

import { bun } from "./bun_types.ts";

/** Connections and programs whose leavings are worth a collection. It takes 10 ms, and 40 with five
 *  thousand connections; and the engine forgets what it has compiled. */
const MANY = 200;
/** It waits until nothing new has begun for so long, in milliseconds: nobody is kept waiting by it who
 *  has just come, and a busy server needs none. */
const QUIET = 1000;
/** What the first collection lets go of, a second gives back to the system; so long after it. */
const AGAIN = 300;

/** Since the last collection. */
let begun = 0;
/** Begun and not over. Where they are few, the collection that the engine makes beside its work will
 *  do: it forgets nothing. */
let open = 0;
/** A burst larger than any before is also collected after while it lasts, when so many are open: what
 *  stays of it would else lie scattered over all the memory that the burst took. */
let next = 250;
let last = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** A connection or a program has begun. */
export function tidyLater(): void {
  last = performance.now();
  begun++;
  if (++open >= next) {
    next *= 2;
    setImmediate(() => bun.gc(true));
  }
  if (begun >= MANY) timer ??= setTimeout(tidy, QUIET).unref();
}

/** It is over. */
export function tidyLess(): void {
  open--;
}

function tidy(): void {
  timer = undefined;
  const left = last + QUIET - performance.now();
  if (left > 0) {
    timer = setTimeout(tidy, left).unref();
    return;
  }
  begun = 0;
  const thorough = open >= MANY;
  bun.gc(thorough);
  setTimeout(() => bun.gc(thorough), AGAIN).unref();
}
