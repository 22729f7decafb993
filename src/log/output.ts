/** Writes log lines to stderr, whose reader may be slow or stopped. The server never waits for it.
 *  What stderr does not accept stays in a bounded queue, and lines that do not fit there are
 *  dropped and counted. This file also has the simple functions that write to stderr and stdout and
 *  wait. */

import fs from "node:fs";
import type { LineSink } from "../runtime/runtime.ts";

/** Maximum bytes in the queue. */
const MAX_QUEUE = 256 << 10;
/** Maximum bytes of one write: PIPE_BUF of Linux. A pipe accepts that many bytes as a whole, so
 *  that the output of programs to the same stderr never lands inside our lines. */
const PIECE = 4096;
/** Time until a full stderr is tried again, in milliseconds. */
const RETRY = 20;
/** Maximum wait for a full stderr at the exit, in milliseconds. */
const FINISH = 200;
const NEWLINE = 10;

export class LogOutput {
  #queue: Uint8Array[] = [];
  #size = 0;
  #lost = 0;
  /** `#reports`: lines in the queue that report losses. `#reported`: the losses that they
   *  report. */
  #reports = 0;
  #reported = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #encoder = new TextEncoder();
  readonly #piece = new Uint8Array(PIECE);

  /** `report` returns the line that reports the loss of `lost` lines. */
  constructor(readonly sink: LineSink, readonly report: (lost: number) => string) {
    sink.whenReady(() => this.#flush());
  }

  /** Bytes in the queue. */
  get waiting(): number {
    return this.#size;
  }

  /** Writes whole lines. */
  write(lines: string): void {
    const bytes = this.#encoder.encode(lines);
    if (this.#lost > 0 && this.#size > 0) { // the loss is reported first, when the queue is empty
      this.#lost += count(bytes);
      return;
    }
    if (this.#lost > 0) this.#report();
    this.#push(bytes);
    this.#flush();
    this.#trim();
  }

  /** Waits until everything is written, at most `FINISH` milliseconds. */
  async finish(): Promise<void> {
    const until = performance.now() + FINISH;
    this.#flush();
    while ((this.#size > 0 || this.sink.busy) && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      this.#flush();
    }
  }

  /** Drops the queue. Returns a line that reports how many lines were lost, or an empty string. */
  giveUp(): string {
    this.#drop();
    const lost = this.#lost;
    this.#lost = 0;
    return lost > 0 ? this.report(lost) : "";
  }

  #push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#size += bytes.length;
  }

  #report(): void {
    this.#push(this.#encoder.encode(this.report(this.#lost)));
    this.#reports++;
    this.#reported += this.#lost;
    this.#lost = 0;
  }

  #flush(): void {
    try {
      while (this.#size > 0) {
        const taken = this.sink.take(this.#next());
        if (taken === 0) return this.#later();
        this.#taken(taken);
        if (this.#size > 0) continue;
        this.#reports = this.#reported = 0;
        if (this.#lost > 0) this.#report();
      }
    } catch {
      this.#drop(); // the disk is full, or the reader has gone: the next line tries again
    }
  }

  #drop(): void {
    this.#lost += this.#reported - this.#reports;
    for (const bytes of this.#queue) this.#lost += count(bytes);
    this.#queue = [];
    this.#size = this.#reports = this.#reported = 0;
  }

  #later(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, RETRY);
    this.#timer.unref();
  }

  /** Returns the beginning of the queue: whole lines if they fit into one piece. */
  #next(): Uint8Array {
    const [head = new Uint8Array(0), second] = this.#queue;
    if (head.length > PIECE) {
      const end = head.lastIndexOf(NEWLINE, PIECE - 1) + 1;
      return head.subarray(0, end || PIECE);
    }
    if (second === undefined || head.length + second.length > PIECE) return head;
    let length = 0;
    for (const bytes of this.#queue) {
      if (length + bytes.length > PIECE) break;
      this.#piece.set(bytes, length);
      length += bytes.length;
    }
    return this.#piece.subarray(0, length);
  }

  #taken(count: number): void {
    this.#size -= count;
    let [at, left] = [0, count];
    for (const bytes of this.#queue) {
      if (bytes.length > left) break;
      left -= bytes.length;
      at++;
    }
    this.#queue.splice(0, at);
    const [head] = this.#queue;
    if (head && left > 0) this.#queue[0] = head.subarray(left);
  }

  /** Drops the newest lines that exceed the queue's limit. */
  #trim(): void {
    while (this.#size > MAX_QUEUE) {
      const last = this.#queue.pop() as Uint8Array;
      const room = MAX_QUEUE - (this.#size - last.length);
      const kept = room > 0 ? last.lastIndexOf(NEWLINE, room - 1) + 1 : 0;
      this.#lost += count(last.subarray(kept));
      this.#size -= last.length - kept;
      if (kept > 0) this.#queue.push(last.subarray(0, kept));
    }
  }
}

function count(bytes: Uint8Array): number {
  let lines = 0;
  for (const byte of bytes) if (byte === NEWLINE) lines++;
  return lines;
}

/** Writes `lines` to stderr, and waits as long as that takes. Only for the time before connections
 *  are served. */
export function writeStderr(lines: string): void {
  const bytes = new TextEncoder().encode(lines);
  let at = 0;
  while (at < bytes.length) {
    try {
      at += fs.writeSync(2, bytes, at);
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else return; // stderr has no reader
    }
  }
}

/** Writes all of `text` to stdout, which may be a pipe. If the reader closes the pipe early, that
 *  is no error. */
export function writeStdout(text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += fs.writeSync(1, bytes, at);
  } catch (error) {
    if ((error as { code?: string }).code !== "EPIPE") throw error;
  }
}
