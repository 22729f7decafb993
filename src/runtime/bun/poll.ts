/** Readiness of many descriptors with one epoll set, on Bun under Linux. Bun's own stream of a pipe costs
 *  6 KB and a second descriptor; here a pipe is an entry in our epoll set, and Bun's event loop watches
 *  the set. Knows nothing of pipes.
 *
 *  Bun watches only sockets, and reads from them when they are readable. So it gets a duplicate of the
 *  set's descriptor as if that were a socket, called the wakeup socket. When the set has an event,
 *  Bun calls recv(2) on it, which fails because it is not a socket (ENOTSOCK). Bun then closes it and calls
 *  `close`, which wakes the poller. A new wakeup socket takes 10 µs, and is made only before the event loop
 *  has to wait. */

import process from "node:process";
import { PollCalls } from "./poll_calls.ts";
import { bun, type NativeSocket, type SocketHandler } from "./types.ts";

/** Bits of epoll_ctl(2). The last two are always reported. */
export const POLLED = { in: 1, out: 4, error: 8, hangUp: 16 } as const;
/** EPOLLET: reports each change once, so that pausing a pipe needs no system call. */
const EDGE = 0x80000000;

/** Milliseconds until the next attempt if no wakeup socket can be made because no
 *  descriptor is free. */
const RETRY = 10;

/** Waits for a descriptor to become ready. */
export interface Waiter {
  /** The descriptor may be ready. `events`: bits of POLLED; 0 after `again`. Can be called without
   *  cause. */
  ready(events: number): void;
}

/** One per thread, like the event loop. */
export class Poller {
  readonly #set: number;
  /** The waiters, by descriptor. */
  readonly #waiters: (Waiter | undefined)[] = [];
  #count = 0;
  /** Waiters that go on in the next turn. */
  #unfinished: Waiter[] = [];
  /** `#turn` runs, or is scheduled without a wakeup socket. */
  #turning = false;
  #wakeupOpening = false;
  #wakeup: NativeSocket<Poller> | undefined;

  constructor(readonly calls: PollCalls) {
    this.#set = calls.makeSet();
  }

  /** Calls `waiter` for the present state of `events` (bits of POLLED) and for every change, until
   *  `forget`. Throws SystemError. */
  watch(fd: number, events: number, waiter: Waiter): void {
    this.calls.addTo(this.#set, fd, events | EDGE);
    this.#waiters[fd] = waiter;
    this.#count++;
    this.#openWakeup();
  }

  /** To be called before `fd` is closed: the set would keep an open file that has a second
   *  descriptor. */
  forget(fd: number): void {
    this.calls.removeFrom(this.#set, fd);
    this.#waiters[fd] = undefined;
    // Without descriptors the wakeup socket must not keep the event loop alive.
    if (--this.#count === 0) this.#closeWakeup();
  }

  /** Calls `waiter` again in the next turn, after the others. */
  again(waiter: Waiter): void {
    this.#unfinished.push(waiter);
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(this.#turn);
  }

  /** While descriptors are ready, polls the set on every turn of the event loop, without a
   *  wakeup socket. */
  readonly #turn = (): void => {
    this.#turning = true;
    const unfinished = this.#unfinished;
    this.#unfinished = [];
    const found = this.calls.wait(this.#set);
    for (let at = 0; at < found; at++) {
      const waiter = this.#waiters[this.calls.foundFd(at)];
      if (waiter) notify(waiter, this.calls.foundEvents(at));
    }
    for (const waiter of unfinished) notify(waiter, 0);
    if (found > 0 || unfinished.length > 0 || this.#unfinished.length > 0) setImmediate(this.#turn);
    else {
      this.#turning = false;
      this.#openWakeup();
    }
  };

  #openWakeup(): void {
    if (this.#wakeupOpening || this.#turning || this.#count === 0) return;
    this.#wakeupOpening = true;
    const later = () => setTimeout(() => this.wokenUp(), RETRY);
    try {
      const fd = this.calls.duplicate(this.#set);
      bun.connect<Poller>({ fd, data: this, allowHalfOpen: true, socket: WAKEUP }).catch(later);
    } catch {
      later();
    }
  }

  #closeWakeup(): void {
    this.#wakeup?.terminate();
  }

  /** The wakeup socket has been registered. */
  wakeupReady(wakeup: NativeSocket<Poller>): void {
    this.#wakeup = wakeup;
    if (this.#count === 0) this.#closeWakeup();
  }

  /** The wakeup socket is closed: the set has events. */
  wokenUp(): void {
    this.#wakeup = undefined;
    this.#wakeupOpening = false;
    if (!this.#turning) this.#turn();
  }
}

const WAKEUP: SocketHandler<Poller> = {
  open: (wakeup) => wakeup.data.wakeupReady(wakeup),
  data: () => {},
  error: () => {},
  close: (wakeup) => wakeup.data.wokenUp(),
};

/** Calls `ready`. An error in one waiter must not prevent the calls of the others, whose events
 *  come only once. */
function notify(waiter: Waiter, events: number): void {
  try {
    waiter.ready(events);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

let shared: Poller | undefined;

/** The poller of this process; undefined without epoll. */
export function poller(): Poller | undefined {
  if (process.platform !== "linux") return undefined;
  return shared ??= new Poller(new PollCalls());
}
