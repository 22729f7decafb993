/** Descriptors of any kind by libc: make, copy, mark, read, write, close. */

import { type Caller, cString, type Memory, memory } from "./call.ts";

/** Which kind of connected Unix sockets. */
export type SocketType = "stream" | "dgram" | "seqpacket";

/** What poll(2) looks for and finds; the same bits on every system. */
export const POLL = { in: 1, out: 4, error: 8, hangUp: 16, invalid: 32 } as const;

/** Calls on descriptors. All throw SystemError. */
export interface DescriptorCalls {
  /** A pipe, [read end, write end], both closed on exec. */
  pipe(): [number, number];
  /** Two connected Unix sockets, both closed on exec and blocking. macOS has no `seqpacket`. */
  socketpair(type: SocketType): [number, number];
  /** Opens a file for reading, closed on exec. Never waits for the writer of a FIFO, nor takes a
   *  terminal as the controlling one. */
  open(path: string): number;
  /** Closes `fd`. It is closed even if a signal interrupts the call. */
  close(fd: number): void;
  /** A copy, 3 or above, closed on exec. */
  dup(fd: number): number;
  /** Sets or clears close-on-exec. Has no other effect. */
  setCloseOnExec(fd: number, on: boolean): void;
  /** Makes the open file non-blocking or not, for every process that shares it. */
  setNonBlocking(fd: number, on: boolean): void;
  /** Up to `n` bytes (at most 1 MiB), none at the end; undefined if there are none yet (EAGAIN).
   *  Blocks on a blocking descriptor. */
  read(fd: number, n: number): Memory | undefined;
  /** Up to `n` bytes (at most 1 MiB) from `offset` on, none at the end. Of a file only. */
  readAt(fd: number, n: number, offset: number): Memory;
  /** Returns how many of `bytes` were written; undefined if the call would have to wait
   *  (EAGAIN). */
  write(fd: number, bytes: Uint8Array): number | undefined;
  /** Opens a terminal, pipe or device for writing, closed on exec and non-blocking for us alone. */
  openToWrite(path: string): number;
  /** Writes to a socket, as `write` does, but never blocks. */
  send(fd: number, bytes: Uint8Array): number | undefined;
  /** Moves up to `n` bytes from one pipe to another, and never blocks. Undefined if the second
   *  pipe is full. Linux only. */
  splice(from: number, to: number, n: number): number | undefined;
  /** Waits like `poll` until some of `fds` have bytes or end of file to read. Returns those. */
  pollAll(fds: readonly number[], timeoutMs: number): number[];
  /** Everything up to the end. Throws if that is more than `cap` bytes, and EAGAIN if a
   *  non-blocking descriptor has no more for now. */
  readAll(fd: number, cap: number): Memory;
  /** Waits until `fd` is ready for `events` (bits of POLL) or `timeoutMs` have passed, and blocks
   *  the whole thread meanwhile. Returns the bits found; 0 if there are none, or after a signal. */
  poll(fd: number, events: number, timeoutMs: number): number;
  /** How many of the first 1,024 descriptors are open. */
  openDescriptors(): number;
}

const AF_UNIX = 1;
const SOCKET_TYPE: Record<SocketType, number> = { stream: 1, dgram: 2, seqpacket: 5 };
const F = { getfd: 1, setfd: 2, getfl: 3, setfl: 4 };
const FD_CLOEXEC = 1;
const O_WRONLY = 1;
const SPLICE_F_NONBLOCK = 2;

/** Maximum bytes per read, so that no caller can make this allocate gigabytes. */
const MAX_READ = 1 << 20;

/** Maximum descriptors checked by `openDescriptors`. The system assigns the lowest free number.
 *  poll(2) accepts at most as many as may be open. */
const MAX_COUNTED = 1024;
const AT_ONCE = 256;

/** The calls, made through `c`. */
export function descriptorCalls(c: Caller): DescriptorCalls {
  const { O_NONBLOCK, O_CLOEXEC, O_NOCTTY, F_DUPFD_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL } =
    c.abi.constants;
  const pair = memory(8);
  const pairView = new DataView(pair.buffer);
  const pollFd = memory(8);
  const pollView = new DataView(pollFd.buffer);

  function setFlag(fd: number, get: number, set: number, flag: number, on: boolean): void {
    const before = c.fcntl(fd, get);
    const after = on ? before | flag : before & ~flag;
    if (after !== before) c.fcntl(fd, set, after);
  }

  function setCloseOnExec(fd: number, on: boolean): void {
    setFlag(fd, F.getfd, F.setfd, FD_CLOEXEC, on);
  }

  /** Returns the two descriptors just made. macOS needs a separate call to mark them
   *  close-on-exec. */
  function madePair(): [number, number] {
    const two: [number, number] = [pairView.getInt32(0, true), pairView.getInt32(4, true)];
    if (c.abi.os === "darwin") two.forEach((fd) => setCloseOnExec(fd, true));
    return two;
  }

  function read(fd: number, n: number): Memory | undefined {
    const bytes = memory(Math.min(n, MAX_READ));
    const got = c.unlessBlocked("read", fd, bytes, bytes.length);
    return got === undefined ? undefined : bytes.subarray(0, got);
  }

  return {
    pipe() {
      if (c.abi.os === "linux") c.zero("pipe2", pair, O_CLOEXEC);
      else c.zero("pipe", pair);
      return madePair();
    },

    socketpair(type) {
      // SOCK_CLOEXEC and O_CLOEXEC are the same number on Linux.
      const flags = c.abi.os === "linux" ? O_CLOEXEC : 0;
      c.zero("socketpair", AF_UNIX, SOCKET_TYPE[type] | flags, 0, pair);
      return madePair();
    },

    open(path) {
      // O_NONBLOCK: opening a FIFO without a writer would block the process for good.
      const fd = c.value("open", cString(path), O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
      setFlag(fd, F.getfl, F.setfl, O_NONBLOCK, false);
      return fd;
    },

    close(fd) {
      if (c.once("close", fd) === 0) return;
      const error = c.error("close");
      // Do not repeat close(2): the number may already belong to another file.
      if (error.code !== "EINTR") throw error;
    },

    dup: (fd) => c.fcntl(fd, F_DUPFD_CLOEXEC, 3),
    setCloseOnExec,
    setNonBlocking: (fd, on) => setFlag(fd, F.getfl, F.setfl, O_NONBLOCK, on),
    read,

    readAt(fd, n, offset) {
      const bytes = memory(Math.min(n, MAX_READ));
      return bytes.subarray(0, c.value("pread", fd, bytes, bytes.length, offset));
    },

    write(fd, bytes) {
      // Empty memory has no address, and writing no bytes to a pipe has no effect.
      if (bytes.length === 0) return 0;
      const own = bytes.buffer instanceof ArrayBuffer ? bytes as Memory : bytes.slice();
      return c.unlessBlocked("write", fd, own, own.length);
    },

    openToWrite(path) {
      return c.value("open", cString(path), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    },

    send(fd, bytes) {
      const own = bytes.buffer instanceof ArrayBuffer ? bytes as Memory : bytes.slice();
      return c.unlessBlocked("send", fd, own, own.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    },

    splice(from, to, n) {
      return c.unlessBlocked("splice", from, 0, to, 0, n, SPLICE_F_NONBLOCK);
    },

    pollAll(fds, timeoutMs) {
      const all = memory(8 * fds.length);
      const view = new DataView(all.buffer);
      fds.forEach((fd, i) => {
        view.setInt32(8 * i, fd, true);
        view.setInt32(8 * i + 4, POLL.in, true);
      });
      const found = c.once("poll", all, fds.length, timeoutMs);
      if (found >= 0) return fds.filter((_, i) => view.getInt16(8 * i + 6, true) !== 0);
      const error = c.error("poll");
      if (error.code === "EINTR") return [];
      throw error;
    },

    readAll(fd, cap) {
      let all = memory(Math.min(cap + 1, 4096));
      let length = 0;
      for (;;) {
        const room = all.subarray(length);
        const got = c.value("read", fd, room, room.length);
        if (got === 0) return all.slice(0, length);
        length += got;
        if (length > cap) throw new RangeError(`read: more than ${cap} bytes`);
        if (length === all.length) {
          const more = memory(Math.min(cap + 1, 2 * all.length));
          more.set(all);
          all = more;
        }
      }
    },

    poll(fd, events, timeoutMs) {
      pollView.setInt32(0, fd, true);
      pollView.setInt32(4, events & 0xffff, true); // events, and revents cleared
      const ready = c.once("poll", pollFd, 1, timeoutMs);
      if (ready >= 0) return ready === 0 ? 0 : pollView.getInt16(6, true);
      const error = c.error("poll");
      if (error.code === "EINTR") return 0;
      throw error;
    },

    openDescriptors() {
      const fds = memory(8 * AT_ONCE);
      const words = new Int32Array(fds.buffer); // of each: the descriptor, then events and revents
      let open = 0;
      for (let first = 0, some = 1; first < MAX_COUNTED && some > 0; first += AT_ONCE) {
        for (let i = 0; i < AT_ONCE; i++) words[2 * i] = first + i;
        let count = AT_ONCE;
        while (count > 0 && c.once("poll", fds, count, 0) < 0) count -= 8; // a low limit
        some = 0;
        for (let i = 0; i < count; i++) {
          if (((words[2 * i + 1] as number) >> 16 & POLL.invalid) === 0) some++;
        }
        open += some;
      }
      return open;
    },
  };
}
