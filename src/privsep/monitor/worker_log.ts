/** The log of the workers. A worker's stderr is one end of a socket pair, not the server's stderr.
 *  With the server's own, a compromised worker could end the log for all processes (shutdown(2) on
 *  journald's socket), erase it (a file) or fill it. The monitor copies the lines. It reads from a
 *  worker only as fast as its own stderr accepts data, and no faster than `RATE`. A worker whose
 *  lines are not read drops them, and logs how many.
 *
 *  The monitor exits while workers drain, which can take hours. Then a small process takes over the
 *  other ends and goes on copying (log_copier.ts). */

import { reason } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { closeAll } from "../../runtime/program_pipes.ts";
import type { Runtime, SelfCommand, Stream } from "../../runtime/runtime.ts";
import type { Identity } from "../identity.ts";
import { LOG_COMMAND } from "../commands.ts";
import type { CopierPlan } from "../log_copier.ts";
import { LogLines } from "../log_lines.ts";
import { openNull } from "../null_device.ts";

/** Bytes per second that one worker may write for long: -v as JSON with 2,500 connections per
 *  second. */
export const RATE = 2 << 20;
/** Nothing is read from workers while more bytes than this wait for stderr. This leaves room for
 *  the monitor's own lines. */
const MAX_WAITING = 64 << 10;
/** Milliseconds until a worker whose log is paused is read again. */
const PAUSE = 50;
const CHUNK = 64 << 10;
/** Maximum number of reads of one worker's log in a row. */
const MAX_READS = 8;

/** The log of one worker. */
export class WorkerLog {
  readonly #lines = new LogLines();
  #ended = false;
  /** Bytes that the worker may write now, and the time of that calculation. */
  #allowed = RATE;
  #since = performance.now();
  #pauseTimer: ReturnType<typeof setTimeout> | undefined;

  /** `stream` reads from the same socket as `fd`. Both are closed at the end, and `over` is
   *  called. */
  constructor(
    readonly libc: Libc,
    readonly stream: Stream,
    readonly fd: number,
    readonly log: Pick<Log, "copy" | "waiting">,
    readonly over: () => void,
  ) {
    const end = (): void => this.#end();
    stream.take({ data: (chunk) => this.#received(chunk), end, close: end });
    stream.resume();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Copies what the worker has written by now. */
  readNow(): void {
    for (let reads = 0; reads < MAX_READS && !this.#ended; reads++) {
      const chunk = this.#read();
      if (chunk === undefined) return;
      if (chunk.length === 0) return this.#end();
      this.#received(chunk);
    }
  }

  #read(): Uint8Array | undefined {
    try {
      return this.libc.read(this.fd, CHUNK);
    } catch {
      return new Uint8Array(0); // a socket whose other end was closed before all was read
    }
  }

  #received(chunk: Uint8Array): void {
    if (this.#ended) return;
    const lines = this.#lines.push(chunk);
    if (lines !== "") this.log.copy(lines);
    this.#allowed -= chunk.length;
    if (!this.#mayRead()) this.#pause();
  }

  #mayRead(): boolean {
    if (this.log.waiting > MAX_WAITING) return false;
    if (this.#allowed > 0) return true;
    const now = performance.now();
    this.#allowed = Math.min(RATE, this.#allowed + RATE * (now - this.#since) / 1000);
    this.#since = now;
    return this.#allowed > 0;
  }

  #pause(): void {
    if (this.#pauseTimer !== undefined) return;
    this.stream.pause();
    this.#pauseTimer = setTimeout(() => {
      this.#pauseTimer = undefined;
      if (this.#ended) return;
      if (this.#mayRead()) this.stream.resume();
      else this.#pause();
    }, PAUSE);
  }

  #end(): void {
    if (this.#ended) return;
    const last = this.#lines.end();
    if (last !== "") this.log.copy(last);
    this.close();
    this.over();
  }

  /** Stops reading. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#pauseTimer);
    this.stream.destroy();
    this.libc.close(this.fd);
  }
}

/** The logs of all workers, including workers that have just ended. */
export class WorkerLogs {
  readonly #all = new Set<WorkerLog>();
  #waiting: (() => void)[] = [];

  constructor(readonly libc: Libc, readonly log: Log) {}

  /** Reads the log of a worker from `fd`, which is closed at the end. Then calls `ended`. */
  async open(runtime: Runtime, fd: number, ended: () => void): Promise<void> {
    let copy: number | undefined;
    try {
      copy = this.libc.dup(fd);
      const one = new WorkerLog(this.libc, await runtime.adoptSocket(fd), copy, this.log, () => {
        this.#all.delete(one);
        ended();
        if (this.#all.size === 0) { for (const go of this.#waiting.splice(0)) go(); }
      });
      this.#all.add(one);
    } catch (error) {
      closeAll(this.libc, copy === undefined ? [fd] : [fd, copy]);
      throw error;
    }
  }

  /** Copies what the workers have written by now. */
  readNow(): void {
    for (const one of this.#all) one.readNow();
  }

  /** Resolves when no worker can write any more, or after `ms` milliseconds. */
  async ended(ms: number): Promise<void> {
    if (this.#all.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Called before the monitor exits: starts the process that copies what workers write later. */
  handOver(runtime: Runtime, self: SelfCommand, identity: Identity): void {
    this.readNow();
    const left = [...this.#all];
    if (left.length === 0) return;
    const plan: CopierPlan = { workers: left.length, identity, first: this.log.giveUp() };
    try {
      const nowhere = openNull(this.libc);
      runtime.launch({
        command: [...self.command, "--as", LOG_COMMAND, JSON.stringify(plan)],
        argv0: "sslserver",
        env: self.env,
        descriptors: [nowhere, nowhere, 2, ...left.map(({ fd }) => fd)],
        blocked: "SIGUSR1", // as for workers
      });
    } catch (error) {
      this.log.error(`unable to copy the log of workers that drain: ${reason(error)}`);
    }
    for (const one of left) one.close();
  }
}
