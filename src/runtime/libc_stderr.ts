/** Writes the log to stderr with libc, without blocking. Programs share this open file, and so may
 *  the parent of the server. So it stays in blocking mode, and each kind of file has its own way of
 *  writing without waiting. */

import fs from "node:fs";
import process from "node:process";
import { type Libc, POLL } from "./libc/libc.ts";
import type { LineSink } from "./runtime.ts";

const STDERR = 2;

type Take = (bytes: Uint8Array) => number;

/** A sink over this process's stderr. */
export function libcStderr(libc: Libc): LineSink {
  const kind = kindOfStderr();
  if (kind === "socket") return sink((bytes) => libc.send(STDERR, bytes) ?? 0);
  if (kind === "pipe" && process.platform === "linux") return new PipeSink(libc);
  if (kind === "pipe" || kind === "terminal") return sink(ownOpening(libc) ?? byPoll(libc));
  return sink((bytes) => libc.write(STDERR, bytes) ?? 0); // a file takes everything
}

function sink(take: Take): LineSink {
  return { take, busy: false, whenReady() {} };
}

function kindOfStderr(): "socket" | "pipe" | "terminal" | "file" {
  try {
    const stat = fs.fstatSync(STDERR);
    if (stat.isSocket()) return "socket";
    if (stat.isFIFO()) return "pipe";
    return stat.isCharacterDevice() ? "terminal" : "file";
  } catch {
    return "file"; // stderr is closed: each write will fail
  }
}

/** Writes to a pipe of ours, from which splice(2) moves the bytes to stderr without waiting.
 *  Polling stderr and then writing to it could block, because a program may fill it in between. */
class PipeSink implements LineSink {
  readonly #from: number;
  readonly #to: number;
  /** Number of bytes in our pipe. */
  #held = 0;

  constructor(readonly libc: Libc) {
    [this.#from, this.#to] = libc.pipe();
  }

  get busy(): boolean {
    return this.#held > 0 && !this.#move();
  }

  whenReady(): void {}

  take(bytes: Uint8Array): number {
    if (!this.#move()) return 0;
    this.#held = this.libc.write(this.#to, bytes) ?? 0;
    const taken = this.#held;
    this.#move();
    return taken;
  }

  /** Moves what stderr has room for. True if our pipe is empty. */
  #move(): boolean {
    while (this.#held > 0) {
      const moved = this.libc.splice(this.#from, STDERR, this.#held);
      if (moved === undefined) return false;
      this.#held -= moved;
    }
    return true;
  }
}

/** Opens the same terminal or pipe again: only this process shares that open file, so it can be
 *  non-blocking. */
function ownOpening(libc: Libc): Take | undefined {
  try {
    const fd = libc.openToWrite(`/dev/fd/${STDERR}`);
    return (bytes) => libc.write(fd, bytes) ?? 0;
  } catch {
    return undefined; // it belongs to another user
  }
}

/** Writes byte by byte: poll(2) tells that there is room, but not for how much. */
function byPoll(libc: Libc): Take {
  return (bytes) => {
    let taken = 0;
    while (taken < bytes.length && (libc.poll(STDERR, POLL.out, 0) & ~POLL.invalid) !== 0) {
      const got = libc.write(STDERR, bytes.subarray(taken, taken + 1));
      if (got === undefined) break;
      taken += got;
    }
    return taken;
  };
}
