/** Readiness of many descriptors for the price of one, on Bun under Linux. Bun's own streams on a
 *  pipe cost 6 KB and a second descriptor each; here a pipe is an entry in an epoll set of ours, and
 *  Bun's event loop watches the set. Knows nothing of pipes.
 *
 *  Bun watches sockets only, and what it can read from them it reads. So it is given a duplicate of
 *  the set under the name of a socket, the bell: it rings once, when the set has something; then
 *  recv(2) fails, because it is no socket (ENOTSOCK), and Bun closes it and tells us so. Hanging up a
 *  new one takes 10 µs, and is done only before the event loop has to wait. */

import process from "node:process";
import { PollCalls } from "./poll_calls.ts";
import { bun, type NativeSocket, type SocketHandler } from "./types.ts";

/** Bits of epoll_ctl(2). The last two are always told. */
export const POLLED = { in: 1, out: 4, error: 8, hangUp: 16 } as const;
/** Told once per change: a pipe that nobody wants to read then needs no call to say so. */
const EDGE = 0x80000000;

/** When no bell can be hung up for want of descriptors, in milliseconds. */
const RETRY = 10;

/** Somebody who waits for a descriptor. */
export interface Waiter {
  /** Something may be possible now that was not before. `events` are bits of POLLED, 0 after
   *  `again`. May be called without cause. */
  ready(events: number): void;
}

/** One per thread, like the event loop. */
export class Poller {
  readonly #set: number;
  /** By descriptor. */
  readonly #waiters: (Waiter | undefined)[] = [];
  #count = 0;
  /** They had enough for one turn. */
  #unfinished: Waiter[] = [];
  /** A turn is under way, or will come without a bell. */
  #turning = false;
  #hanging = false;
  #bell: NativeSocket<Poller> | undefined;

  constructor(readonly calls: PollCalls) {
    this.#set = calls.makeSet();
  }

  /** Tells `waiter` of every change of `events` (bits of POLLED), how it is now included, until
   *  `forget`. Throws SystemError. */
  watch(fd: number, events: number, waiter: Waiter): void {
    this.calls.addTo(this.#set, fd, events | EDGE);
    this.#waiters[fd] = waiter;
    this.#count++;
    this.#hangUp();
  }

  /** Before `fd` is closed: the set would keep an open file that has a second descriptor. */
  forget(fd: number): void {
    this.calls.removeFrom(this.#set, fd);
    this.#waiters[fd] = undefined;
    // Who waits for nothing must not keep the process from ending.
    if (--this.#count === 0) this.#takeDown();
  }

  /** `waiter` could go on, but others come first. */
  again(waiter: Waiter): void {
    this.#unfinished.push(waiter);
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(this.#turn);
  }

  /** As long as there is something to do every turn of the event loop looks, without a bell. */
  readonly #turn = (): void => {
    this.#turning = true;
    const unfinished = this.#unfinished;
    this.#unfinished = [];
    const found = this.calls.look(this.#set);
    for (let at = 0; at < found; at++) {
      const waiter = this.#waiters[this.calls.foundFd(at)];
      if (waiter) tell(waiter, this.calls.foundEvents(at));
    }
    for (const waiter of unfinished) tell(waiter, 0);
    if (found > 0 || unfinished.length > 0 || this.#unfinished.length > 0) setImmediate(this.#turn);
    else {
      this.#turning = false;
      this.#hangUp();
    }
  };

  #hangUp(): void {
    if (this.#hanging || this.#turning || this.#count === 0) return;
    this.#hanging = true;
    const later = () => setTimeout(() => this.rang(), RETRY);
    try {
      const fd = this.calls.duplicate(this.#set);
      bun.connect<Poller>({ fd, data: this, allowHalfOpen: true, socket: BELL }).catch(later);
    } catch {
      later();
    }
  }

  #takeDown(): void {
    this.#bell?.terminate();
  }

  /** The bell hangs. */
  hung(bell: NativeSocket<Poller>): void {
    this.#bell = bell;
    if (this.#count === 0) this.#takeDown();
  }

  /** The bell has rung, and is gone. */
  rang(): void {
    this.#bell = undefined;
    this.#hanging = false;
    if (!this.#turning) this.#turn();
  }
}

const BELL: SocketHandler<Poller> = {
  open: (bell) => bell.data.hung(bell),
  data: () => {},
  error: () => {},
  close: (bell) => bell.data.rang(),
};

/** An error of one waiter's owner must not cost the others their edge. */
function tell(waiter: Waiter, events: number): void {
  try {
    waiter.ready(events);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

let shared: Poller | undefined;

/** That of this process; undefined where there is no epoll. */
export function poller(): Poller | undefined {
  if (process.platform !== "linux") return undefined;
  return shared ??= new Poller(new PollCalls());
}
