/** The -c slots: one for each program and for each handshake that will need one. First come, first
 *  served. In memory; no I/O. The count for the whole server is one instance: with workers the
 *  monitor's, which lends them slots (privsep/monitor/grants.ts).
 *
 *  A handshake takes its slot before it begins, so that no more clients shake hands than can get a
 *  program. A client that then falls silent could hold it for as long as -T. So when no slot is free,
 *  a handshake keeps its slot for one second only. It goes on without one, and when it is done it waits
 *  for another, before all others. */

import type { ConnectionSlot } from "../connection.ts";
import { abandoned } from "../reason.ts";

/** How long a handshake keeps its slot when no other is free, in milliseconds: two round trips of TLS
 *  1.2, 200 ms each, and a lost packet. */
const PATIENCE = 1000;

/** One who waits. */
interface Waiter {
  give(slot: Slot): void;
  fail(error: Error): void;
}

/** A slot that somebody has. */
export class Slot implements ConnectionSlot {
  #state: "handshake" | "lent" | "kept" | "running" | "over" = "handshake";

  constructor(readonly slots: Slots, readonly since: number) {}

  /** Another handshake has it now. */
  get lent(): boolean {
    return this.#state === "lent";
  }

  /** The handshake is done: nobody else gets it any more. Waits for one where it was lent. Rejects when
   *  `signal` aborts. */
  keep(signal: AbortSignal): Promise<void> | undefined {
    if (this.#state === "lent") {
      return this.slots.take(signal, true).then((other) => {
        this.#state = "kept";
        other.hand();
      });
    }
    this.hold();
    return undefined;
  }

  /** The same for one who has just got it: nobody else can have it yet. */
  hold(): this {
    if (this.#state !== "handshake") return this;
    this.#state = "kept";
    this.slots.done(this);
    return this;
  }

  /** Its program runs. */
  run(): void {
    if (this.#state !== "kept") throw new Error("a program without a slot");
    this.#state = "running";
    this.slots.count(1);
  }

  /** Its program has ended; the slot stays whose it is. */
  rest(): void {
    if (this.#state !== "running") return;
    this.#state = "kept";
    this.slots.count(-1);
  }

  /** Gives it to the next one. Only the first call counts. */
  release(): void {
    if (this.#state === "over") return;
    const mine = this.#state !== "lent";
    this.hand();
    if (mine) this.slots.add(1);
  }

  /** It is counted elsewhere from now on. */
  hand(): void {
    this.rest();
    this.slots.done(this);
    this.#state = "over";
  }

  /** It loses it to somebody else. */
  lend(): void {
    this.slots.done(this);
    this.#state = "lent";
  }
}

export class Slots {
  #changed: () => void = () => {};
  /** In order. A set: any of them may go. */
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

  /** A slot, if there is one; nobody waits then. */
  takeNow(): Slot | undefined {
    if (this.full) return undefined;
    const slot = this.#slot();
    this.#changed();
    return slot;
  }

  /** Waits for a slot; `first`: before all others. Rejects when `signal` aborts. */
  take(signal: AbortSignal, first = false): Promise<Slot> {
    if (signal.aborted) return Promise.reject(abandoned(signal));
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        cancel();
        reject(abandoned(signal));
      };
      const settled = (): void => signal.removeEventListener("abort", leave);
      signal.addEventListener("abort", leave, { once: true });
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

  /** The same with callbacks. Returns what takes the waiter out of the queue. */
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

  /** More of them are free. */
  add(count: number): void {
    this.#free += count;
    this.#fill();
  }

  /** Takes up to `count` free ones away. How many. */
  remove(count: number): number {
    const taken = Math.min(count, this.#free);
    this.#free -= taken;
    if (taken > 0) this.#changed();
    return taken;
  }

  /** One that was removed comes back into use. */
  adopt(): Slot {
    return new Slot(this, 0).hold();
  }

  /** All who wait, now or later, are told that there will be none. */
  fail(error: Error): void {
    this.#failure = error;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { fail } of waiting) fail(error);
    this.#changed();
  }

  /** Of `Slot`: it is no handshake's any more. */
  done(slot: Slot): void {
    this.#handshakes.delete(slot);
  }

  /** Of `Slot`: a program begins or ends. */
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
    if (this.full) this.#timer ??= setTimeout(this.#lend, PATIENCE);
    return slot;
  }

  /** While no slot is free: handshakes that have had theirs long enough lose it. */
  readonly #lend = (): void => {
    this.#timer = undefined;
    if (!this.full) return;
    for (const slot of this.#handshakes) {
      const left = slot.since + PATIENCE - this.now();
      if (left > 0) {
        this.#timer = setTimeout(this.#lend, left);
        break;
      }
      slot.lend();
      this.#free++;
    }
    if (!this.full) this.#fill();
  };
}
