/** Memory after a burst, under Deno. V8 looks for garbage when something is allocated, and the C library
 *  keeps what is freed: what a thousand clients left behind would stay for as long as no others come. */

import { setTimeout } from "node:timers";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Connections, begun or ended, whose leavings are worth a collection, which takes 20 to 40 ms. */
const MANY = 200;
/** The burst is over when fewer than so many have begun or ended in so many milliseconds: a busy server
 *  needs what it has, and shall not wait. */
const FEW = 50;
const WINDOW = 5000;

/** Calls `call` after `ms`, unless the process ends before. */
type Later = (call: () => void, ms: number) => void;

const later: Later = (call, ms) => void setTimeout(call, ms).unref();

/** Calls `collect` when many connections have begun or ended, and the next are few. */
export class Tidier {
  readonly #collect: () => void;
  readonly #later: Later;
  #count = 0;
  #watching = false;

  constructor(collect: () => void, wait: Later = later) {
    this.#collect = collect;
    this.#later = wait;
  }

  /** A connection has begun, or has ended. */
  count(): void {
    if (++this.#count >= MANY) this.soon();
  }

  /** Also after the start, which leaves what has been compiled. */
  soon(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#count = 0;
    this.#later(() => this.#look(), WINDOW);
  }

  #look(): void {
    this.#watching = false;
    if (this.#count >= FEW) return this.soon();
    this.#count = 0;
    this.#collect();
  }
}

/** Frees garbage, and calls `trim`, which gives what is free back to the system. */
export function collector(trim: (() => void) | undefined): () => void {
  let collect: (() => void) | undefined;
  return () => {
    collect ??= garbageCollector();
    collect();
    trim?.();
  };
}

/** V8's: a flag shows it, in contexts that are made afterwards. */
function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("globalThis.gc");
  return typeof gc === "function" ? () => gc() : () => {};
}
