/** The few calls of libc that are made for every chunk of data or every turn, on Bun under Linux:
 *  straight to the symbols, with no check of the arguments and nothing allocated. The callers are
 *  poll.ts and poll_pipe.ts, with descriptors and memory of their own; everybody else has
 *  `Libc`. */

import * as bunFfi from "bun:ffi";
import process from "node:process";
import { EPOLL, EPOLL_EVENT } from "../libc/epoll.ts";
import { systemError } from "../libc/errno.ts";
import { abiOf } from "../libc/abi.ts";

/** What this uses of bun:ffi, as in load_libc.ts. */
const ffi = bunFfi as unknown as {
  dlopen(
    name: string,
    symbols: Record<string, { args: readonly string[]; returns: string }>,
  ): { symbols: Symbols };
  read: { i32(pointer: number, offset: number): number };
};

interface Symbols {
  epoll_create1(flags: number): number;
  epoll_ctl(set: number, operation: number, fd: number, event: Uint8Array): number;
  epoll_wait(set: number, events: Uint8Array, room: number, timeout: number): number;
  fcntl(fd: number, command: number, value: number): number;
  read(fd: number, bytes: Uint8Array, room: number): number;
  write(fd: number, bytes: Uint8Array, length: number): number;
  __errno_location(): number;
}

/** Exact types: see libc/abi.ts. */
const SYMBOLS = {
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: "i64_fast" },
  write: { args: ["i32", "ptr", "u64"], returns: "i64_fast" },
  __errno_location: { args: [], returns: "ptr" },
};

const EINTR = 4;
const EAGAIN = 11;
const NON_BLOCKING = 0x800;
const F = { setfl: 4, dupfdCloexec: 1030, setPipeSize: 1031 };
/** Events taken at once; more wait for the next turn. */
const ROOM = 256;

/** Calls that fail throw SystemError. */
export class PollCalls {
  readonly #c: Symbols;
  readonly #errnoAt: number;
  readonly #event = new DataView(new ArrayBuffer(EPOLL_EVENT.size));
  readonly #eventBytes = new Uint8Array(this.#event.buffer);
  readonly #found = new DataView(new ArrayBuffer(EPOLL_EVENT.size * ROOM));
  readonly #foundBytes = new Uint8Array(this.#found.buffer);

  /** Throws what the loader says, or Unsupported. */
  constructor() {
    this.#c = ffi.dlopen(abiOf(process.platform, process.arch).library, SYMBOLS).symbols;
    this.#errnoAt = this.#c.__errno_location(); // one per thread; this object has one
  }

  /** A new epoll set, closed on exec. */
  makeSet(): number {
    return this.#must("epoll_create1", this.#c.epoll_create1(EPOLL.closeOnExec));
  }

  /** `events` are EPOLLIN and so on. */
  addTo(set: number, fd: number, events: number): void {
    this.#event.setUint32(0, events >>> 0, true);
    this.#event.setInt32(EPOLL_EVENT.fd, fd, true);
    this.#must("epoll_ctl", this.#c.epoll_ctl(set, EPOLL.add, fd, this.#eventBytes));
  }

  removeFrom(set: number, fd: number): void {
    this.#must("epoll_ctl", this.#c.epoll_ctl(set, EPOLL.delete, fd, this.#eventBytes));
  }

  /** How many have something, without waiting; the first of them are told by `found`. */
  look(set: number): number {
    return this.#c.epoll_wait(set, this.#foundBytes, ROOM, 0);
  }

  /** Of the last `look`, number `at` from 0 on. */
  foundFd(at: number): number {
    return this.#found.getInt32(at * EPOLL_EVENT.size + EPOLL_EVENT.fd, true);
  }

  foundEvents(at: number): number {
    return this.#found.getUint32(at * EPOLL_EVENT.size, true);
  }

  /** A copy, 3 or above, closed on exec. */
  duplicate(fd: number): number {
    return this.#must("dup", this.#c.fcntl(fd, F.dupfdCloexec, 3));
  }

  /** Non-blocking, for everyone who shares the open file. */
  unblock(fd: number): void {
    this.#must("fcntl", this.#c.fcntl(fd, F.setfl, NON_BLOCKING));
  }

  /** Makes a pipe hold `size` bytes, if the system lets us: what an ordinary user may have in all
   *  pipes together is limited. */
  enlarge(fd: number, size: number): void {
    this.#c.fcntl(fd, F.setPipeSize, size);
  }

  /** Bytes read, 0 at the end; −1: there are none yet. */
  read(fd: number, into: Uint8Array): number {
    for (;;) {
      const got = this.#c.read(fd, into, into.length);
      if (got >= 0) return got;
      const errno = this.#errno();
      if (errno === EAGAIN) return -1;
      if (errno !== EINTR) throw systemError("read", errno, "linux");
    }
  }

  /** How many of `bytes`, which are some, were taken: perhaps none. */
  write(fd: number, bytes: Uint8Array): number {
    for (;;) {
      const taken = this.#c.write(fd, bytes, bytes.length);
      if (taken >= 0) return taken;
      const errno = this.#errno();
      if (errno === EAGAIN) return 0;
      if (errno !== EINTR) throw systemError("write", errno, "linux");
    }
  }

  /** Right only in the statement after the call. */
  #errno(): number {
    return ffi.read.i32(this.#errnoAt, 0);
  }

  #must(call: string, result: number): number {
    if (result < 0) throw systemError(call, this.#errno(), "linux");
    return result;
  }
}
