/** Frees memory after a burst, under Deno. V8 collects garbage only when it allocates, and the C
 *  library keeps freed memory: the garbage of a thousand clients would stay until new ones come. */

import { setTimeout } from "node:timers";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Number of connections begun or ended after which a collection is worth its price, 20 to 40
 *  ms. */
const BURST = 200;
/** A burst is over when fewer than `QUIET_COUNT` connections have begun or ended in `WINDOW`
 *  milliseconds. A busy server reuses its memory, and must not be delayed. */
const QUIET_COUNT = 50;
const WINDOW = 5000;

/** Calls `call` after `ms`, unless the process ends before. */
type Later = (call: () => void, ms: number) => void;

const later: Later = (call, ms) => void setTimeout(call, ms).unref();

/** Calls `collect` when many connections have begun or ended, and few follow. */
export class BurstCollector {
  readonly #collect: () => void;
  readonly #later: Later;
  #count = 0;
  #timerSet = false;

  constructor(collect: () => void, wait: Later = later) {
    this.#collect = collect;
    this.#later = wait;
  }

  /** A connection has begun, or has ended. */
  count(): void {
    if (++this.#count >= BURST) this.collectWhenQuiet();
  }

  /** Collects once it is quiet. Also used after the start, because compilation leaves garbage. */
  collectWhenQuiet(): void {
    if (this.#timerSet) return;
    this.#timerSet = true;
    this.#count = 0;
    this.#later(() => this.#check(), WINDOW);
  }

  #check(): void {
    this.#timerSet = false;
    if (this.#count >= QUIET_COUNT) return this.collectWhenQuiet();
    this.#count = 0;
    this.#collect();
  }
}

/** Returns a function that collects garbage, and calls `trim` to return free memory to the
 *  system. */
export function collector(trim: (() => void) | undefined): () => void {
  let collect: (() => void) | undefined;
  return () => {
    collect ??= garbageCollector();
    collect();
    trim?.();
  };
}

/** V8's collector. A flag exposes it in contexts that are made afterwards. */
function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("globalThis.gc");
  return typeof gc === "function" ? () => gc() : () => {};
}
