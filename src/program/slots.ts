/** The slots of -c: one for each program, and for each handshake that will need a program. First
 *  come, first served. In memory; no I/O. One instance counts for the whole server: with workers it
 *  is in the monitor, which grants slots to them (privsep/monitor/grants.ts).
 *
 *  A connection takes its slot before the handshake, so that there are not more handshakes than
 *  programs that can start. A client that then falls silent could hold the slot for as long as -T.
 *  So when no slot is free, a handshake keeps its slot for one second only. It goes on without a
 *  slot, and when it is done it waits for another one, at the head of the queue. */

import type { Cancellable, ConnectionSlot } from "../connection.ts";
import { abortError } from "../reason.ts";

/** How long a handshake keeps its slot when no other slot is free, in milliseconds. Enough for the
 *  two round trips of TLS 1.2, 200 ms each, and a lost packet. */
const MAX_HANDSHAKE_HOLD = 1000;

/** Callbacks of a waiter in the queue. */
interface Waiter {
  give(slot: Slot): void;
  fail(error: Error): void;
}

/** A slot that is taken. */
export class Slot implements ConnectionSlot {
  #state: "handshake" | "takenAway" | "secured" | "running" | "over" = "handshake";

  constructor(readonly slots: Slots, readonly since: number) {}

  /** The slot has been taken away, for another connection. */
  get takenAway(): boolean {
    return this.#state === "takenAway";
  }

  /** See `ConnectionSlot`: to be called when the handshake is done. */
  secure(conn: Cancellable): Promise<void> | undefined {
    if (this.#state === "takenAway") {
      return this.slots.take(conn.signal, true).then((other) => {
        this.#state = "secured";
        other.transfer();
      });
    }
    this.secureNow();
    return undefined;
  }

  /** Like `secure`, for a caller that has just got the slot, so that it cannot have been taken
   *  away. */
  secureNow(): this {
    if (this.#state !== "handshake") return this;
    this.#state = "secured";
    this.slots.done(this);
    return this;
  }

  /** See `ConnectionSlot`. */
  run(): void {
    if (this.#state !== "secured") throw new Error("a program runs without a slot");
    this.#state = "running";
    this.slots.count(1);
  }

  /** Marks the program as ended, and keeps the slot. */
  programEnded(): void {
    if (this.#state !== "running") return;
    this.#state = "secured";
    this.slots.count(-1);
  }

  /** See `ConnectionSlot`. */
  release(): void {
    if (this.#state === "over") return;
    const ownsSlot = this.#state !== "takenAway";
    this.transfer();
    if (ownsSlot) this.slots.add(1);
  }

  /** See `ConnectionSlot`. */
  transfer(): void {
    this.programEnded();
    this.slots.done(this);
    this.#state = "over";
  }

  /** Takes the slot from its handshake. */
  takeAway(): void {
    this.slots.done(this);
    this.#state = "takenAway";
  }
}

export class Slots {
  #changed: () => void = () => {};
  /** The queue, in order. A set, because any waiter can leave. */
  readonly #waiting = new Set<Waiter>();
  /** Slots of handshakes under way, in the order in which they were taken. */
  readonly #handshakes = new Set<Slot>();
  #free: number;
  #running = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failure: Error | undefined;

  constructor(free: number, readonly now: () => number = () => performance.now()) {
    this.#free = free;
  }

  /** Calls `changed` when one of the numbers below has changed. */
  onChange(changed: () => void): void {
    this.#changed = changed;
  }

  /** Programs that run. */
  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get full(): boolean {
    return this.#free === 0;
  }

  /** Returns a free slot, or undefined. Nothing waits while a slot is free, so this skips no
   *  waiter. */
  takeNow(): Slot | undefined {
    if (this.full) return undefined;
    const slot = this.#slot();
    this.#changed();
    return slot;
  }

  /** Waits for a slot. `first`: at the head of the queue. Rejects when `signal` aborts. */
  take(signal: AbortSignal, first = false): Promise<Slot> {
    if (signal.aborted) return Promise.reject(abortError(signal));
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        cancel();
        reject(abortError(signal));
      };
      const settled = (): void => signal.removeEventListener("abort", abort);
      signal.addEventListener("abort", abort, { once: true });
      const cancel = this.wait({
        give(slot) {
          settled();
          resolve(slot);
        },
        fail(error) {
          settled();
          reject(error);
        },
      }, first);
    });
  }

  /** Like `take`, with callbacks. Returns a function that takes the waiter out of the queue. */
  wait(waiter: Waiter, first = false): () => void {
    const others = first ? [...this.#waiting] : [];
    for (const other of others) this.#waiting.delete(other);
    this.#waiting.add(waiter);
    for (const other of others) this.#waiting.add(other);
    this.#fill();
    return () => {
      if (this.#waiting.delete(waiter)) this.#changed();
    };
  }

  /** Adds `count` free slots. */
  add(count: number): void {
    this.#free += count;
    this.#fill();
  }

  /** Removes up to `count` free slots. Returns how many. */
  remove(count: number): number {
    const taken = Math.min(count, this.#free);
    this.#free -= taken;
    if (taken > 0) this.#changed();
    return taken;
  }

  /** Returns a slot that was removed before, for use by a program. */
  adopt(): Slot {
    return new Slot(this, 0).secureNow();
  }

  /** Rejects all waiters, now and later, with `error`. */
  fail(error: Error): void {
    this.#failure = error;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { fail } of waiting) fail(error);
    this.#changed();
  }

  /** For `Slot`: it no longer belongs to a handshake. */
  done(slot: Slot): void {
    this.#handshakes.delete(slot);
  }

  /** For `Slot`: a program begins (1) or ends (-1). */
  count(more: number): void {
    this.#running += more;
  }

  #fill(): void {
    for (const waiter of this.#waiting) {
      if (this.full) break;
      this.#waiting.delete(waiter);
      waiter.give(this.#slot());
    }
    this.#changed();
  }

  #slot(): Slot {
    this.#free--;
    const slot = new Slot(this, this.now());
    this.#handshakes.add(slot);
    if (this.full) this.#timer ??= setTimeout(this.#takeAway, MAX_HANDSHAKE_HOLD);
    return slot;
  }

  /** While no slot is free, takes away the slots of handshakes that have had theirs for
   *  `MAX_HANDSHAKE_HOLD`. */
  readonly #takeAway = (): void => {
    this.#timer = undefined;
    if (!this.full) return;
    for (const slot of this.#handshakes) {
      const left = slot.since + MAX_HANDSHAKE_HOLD - this.now();
      if (left > 0) {
        this.#timer = setTimeout(this.#takeAway, left);
        break;
      }
      slot.takeAway();
      this.#free++;
    }
    if (!this.full) this.#fill();
  };
}
