/** Waits for a descriptor under Deno, which has no function for that: calls epoll by FFI in a
 *  thread of Deno's pool. Elsewhere than on Linux, callers try again every few milliseconds. */

import process from "node:process";
import { abiOf } from "../libc/abi.ts";
import { EPOLL, EPOLL_EVENT } from "../libc/epoll.ts";
import type { Libc } from "../libc/libc.ts";

export const RECHECK_MS = 5;

/** Tells when a descriptor becomes ready. */
export interface Readiness {
  /** Resolves when it may be ready, or when `close()` was called. One call at a time. */
  wait(): Promise<void>;
  /** Ends a `wait()` under way and frees what it needed, not the descriptor itself. */
  close(): void;
}

/** Watches `fd`, with epoll: a thread that waits in poll(2) would keep the socket and its port open
 *  after it was closed. */
export function watchReady(libc: Libc, fd: number, what: "in" | "out"): Readiness {
  if (Deno.build.os !== "linux") {
    return { wait: () => new Promise((done) => setTimeout(done, RECHECK_MS)), close() {} };
  }
  const { epoll_create1, epoll_ctl, epoll_wait } = epollCalls();
  const set = epoll_create1(EPOLL.closeOnExec);
  if (set < 0) throw new Error("unable to watch a socket: epoll_create1 failed");
  const [wakeRead, wakeWrite] = libc.pipe();
  for (const [watched, event] of [[fd, EPOLL[what]], [wakeRead, EPOLL.in]] as const) {
    if (epoll_ctl(set, EPOLL.add, watched, epollEvent(event)) !== 0) {
      throw new Error("unable to watch a socket: epoll_ctl failed");
    }
  }
  const found = epollEvent(0); // kept here: the thread writes into it
  let waiting = false;
  let closed = false;
  const free = () => {
    for (const one of [set, wakeRead, wakeWrite]) libc.close(one);
  };
  return {
    async wait() {
      if (closed) return;
      waiting = true;
      await epoll_wait(set, found, 1, -1);
      waiting = false;
      if (closed) free();
    },
    close() {
      if (closed) return;
      closed = true;
      if (waiting) libc.write(wakeWrite, new Uint8Array(1));
      else free();
    },
  };
}

/** Maximum events per call; more wait for the next call. */
const ROOM = 64;

/** Many descriptors, watched for something to read or an error. Linux. */
export class EpollSet {
  readonly #calls = epollCalls();
  readonly #set: number;
  readonly #found = new Uint8Array(EPOLL_EVENT.size * ROOM); // kept here: the thread writes into it

  constructor(readonly libc: Libc) {
    this.#set = this.#calls.epoll_create1(EPOLL.closeOnExec);
    if (this.#set < 0) throw new Error("unable to watch a descriptor: epoll_create1 failed");
  }

  /** Watches `fd` until it is closed. */
  add(fd: number): void {
    const event = epollEvent(EPOLL.in);
    new DataView(event.buffer).setInt32(EPOLL_EVENT.fd, fd, true);
    if (this.#calls.epoll_ctl(this.#set, EPOLL.add, fd, event) !== 0) {
      throw new Error("unable to watch a descriptor: epoll_ctl failed");
    }
  }

  /** Resolves with the ready descriptors; with none after `ms`. One call at a time. */
  async wait(ms: number): Promise<number[]> {
    const count = await this.#calls.epoll_wait(this.#set, this.#found, ROOM, ms);
    const view = new DataView(this.#found.buffer);
    return Array.from(
      { length: Math.max(count, 0) },
      (_, i) => view.getInt32(i * EPOLL_EVENT.size + EPOLL_EVENT.fd, true),
    );
  }

  /** Must not be called during `wait`. */
  close(): void {
    this.libc.close(this.#set);
  }
}

/** A struct epoll_event that fits every machine. */
function epollEvent(events: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, events, true);
  return bytes;
}

let calls: ReturnType<typeof loadEpoll> | undefined;

function epollCalls() {
  return calls ??= loadEpoll();
}

function loadEpoll() {
  const declared = {
    epoll_create1: { parameters: ["i32"], result: "i32" },
    epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32", nonblocking: true },
  } as const;
  return Deno.dlopen(abiOf(process.platform, process.arch).library, declared).symbols;
}
