/** The few libc calls that are made for every chunk of data or every turn, on Bun under Linux. They
 *  call the symbols directly, without checks of the arguments and without allocation. Only poll.ts
 *  and poll_pipe.ts use them, with their own descriptors and memory; all other code uses `Libc`. */

import * as bunFfi from "bun:ffi";
import process from "node:process";
import { EPOLL, EPOLL_EVENT } from "../libc/epoll.ts";
import { systemError } from "../libc/errno.ts";
import { abiOf } from "../libc/abi.ts";

/** The part of bun:ffi used here, as in load_libc.ts. */
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
/** Maximum events per call; more wait for the next turn. */
const ROOM = 256;

/** The calls. They throw SystemError. */
export class PollCalls {
  readonly #c: Symbols;
  readonly #errnoAt: number;
  readonly #event = new DataView(new ArrayBuffer(EPOLL_EVENT.size));
  readonly #eventBytes = new Uint8Array(this.#event.buffer);
  readonly #found = new DataView(new ArrayBuffer(EPOLL_EVENT.size * ROOM));
  readonly #foundBytes = new Uint8Array(this.#found.buffer);

  /** Throws the loader's error, or `Unsupported`. */
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

  /** Returns the number of ready descriptors, without waiting; `foundFd` and `foundEvents` return
   *  them. */
  wait(set: number): number {
    return this.#c.epoll_wait(set, this.#foundBytes, ROOM, 0);
  }

  /** Descriptor number `at`, from 0, of the last `wait`. */
  foundFd(at: number): number {
    return this.#found.getInt32(at * EPOLL_EVENT.size + EPOLL_EVENT.fd, true);
  }

  foundEvents(at: number): number {
    return this.#found.getUint32(at * EPOLL_EVENT.size, true);
  }

  /** Returns a copy of the descriptor, 3 or above, closed on exec. */
  duplicate(fd: number): number {
    return this.#must("dup", this.#c.fcntl(fd, F.dupfdCloexec, 3));
  }

  /** Makes the open file non-blocking, for every process that shares it. */
  unblock(fd: number): void {
    this.#must("fcntl", this.#c.fcntl(fd, F.setfl, NON_BLOCKING));
  }

  /** Sets the capacity of a pipe to `size` bytes, if the system allows it: the sum over all pipes
   *  of an ordinary user is limited. */
  enlarge(fd: number, size: number): void {
    this.#c.fcntl(fd, F.setPipeSize, size);
  }

  /** Returns the number of bytes read; 0 at end of file; −1 if there are none yet. */
  read(fd: number, into: Uint8Array): number {
    for (;;) {
      const got = this.#c.read(fd, into, into.length);
      if (got >= 0) return got;
      const errno = this.#errno();
      if (errno === EAGAIN) return -1;
      if (errno !== EINTR) throw systemError("read", errno, "linux");
    }
  }

  /** Returns how many of `bytes` were written, which may be none. `bytes` must not be empty. */
  write(fd: number, bytes: Uint8Array): number {
    for (;;) {
      const taken = this.#c.write(fd, bytes, bytes.length);
      if (taken >= 0) return taken;
      const errno = this.#errno();
      if (errno === EAGAIN) return 0;
      if (errno !== EINTR) throw systemError("write", errno, "linux");
    }
  }

  /** errno; valid only right after the call. */
  #errno(): number {
    return ffi.read.i32(this.#errnoAt, 0);
  }

  #must(call: string, result: number): number {
    if (result < 0) throw systemError(call, this.#errno(), "linux");
    return result;
  }
}
