/** Our ends of a program's pipes, on Bun under Linux. They are read and written at once; if that is
 *  not possible, again when the poller reports it. An idle end is one small object. */

import { POLLED, type Poller, type Waiter } from "./poll.ts";
import { type Libc, POLL } from "../libc/libc.ts";
import { memory } from "../libc/call.ts";
import { free, Owned, type Sink, type Source } from "../stream.ts";

/** Bytes per read. */
const CHUNK = 64 << 10;
/** Reads from one pipe per turn, so that other pipes are read too. */
const READS_PER_TURN = 4;
/** Capacity in bytes that a pipe gets once it was full. Linux begins with 64 KB; with more, each
 *  call moves more bytes, and program and server wait for each other less often. */
const BUSY_PIPE = 256 << 10;

/** Shared by all reads, and valid for the owner only during the call: see `StreamHandler.data`. */
const buffer = memory(CHUNK);

/** The writing end. */
export class PolledSink extends Owned implements Sink, Waiter {
  /** Bytes for which the pipe had no room. */
  #queue: Uint8Array[] | undefined;
  /** Bytes of the queue's first chunk that are written. */
  #written = 0;
  /** Nobody else uses the chunks of the queue: see `Sink.write`. */
  #spent = false;
  #watched = false;
  #ending = false;
  #closed = false;

  constructor(
    readonly fd: number,
    readonly libc: Pick<Libc, "close">,
    readonly poller: Poller,
  ) {
    super();
    poller.calls.unblock(fd);
  }

  write(chunk: Uint8Array, spent = false): boolean {
    if (this.#closed || this.#ending || chunk.length === 0) return true;
    if (this.#queue) {
      this.#spent &&= spent;
      this.#queue.push(chunk);
      return false;
    }
    try {
      const taken = this.poller.calls.write(this.fd, chunk);
      if (taken === chunk.length) {
        if (spent) free(chunk);
        return true;
      }
      this.#queue = [chunk];
      this.#written = taken;
      this.#spent = spent;
      this.#watch();
      return false;
    } catch (error) {
      queueMicrotask(() => this.#failed(error as Error));
      return true;
    }
  }

  #watch(): void {
    if (this.#watched) return;
    this.poller.watch(this.fd, POLLED.out, this);
    this.#watched = true;
    this.poller.calls.enlarge(this.fd, BUSY_PIPE);
  }

  /** See `Waiter`. */
  ready(): void {
    const queue = this.#queue;
    if (!queue) return;
    try {
      while (queue.length > 0) {
        const chunk = queue[0] as Uint8Array;
        this.#written += this.poller.calls.write(this.fd, chunk.subarray(this.#written));
        if (this.#written < chunk.length) return;
        this.#written = 0;
        if (this.#spent) free(chunk);
        queue.shift();
      }
    } catch (error) {
      this.#failed(error as Error);
      return;
    }
    this.#queue = undefined;
    if (this.#ending) this.destroy();
    else this.owner.drain?.();
  }

  #failed(error: Error): void {
    if (this.#closed) return;
    this.destroy();
    this.tellClosed(error);
  }

  end(): void {
    this.#ending = true;
    if (!this.#queue) this.destroy();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = undefined;
    if (this.#watched) this.poller.forget(this.fd);
    this.libc.close(this.fd);
  }
}

/** The reading end. Reads nothing while paused. */
export class PolledSource extends Owned implements Source, Waiter {
  #paused = true;
  #watched = false;
  /** The pipe may be readable; the poller, which reports each change once, will not report this
   *  again. */
  #ready = false;
  /** The other end is closed: the poller will report no more events. */
  #last = false;
  #large = false;
  #done = false;

  constructor(readonly fd: number, readonly libc: Libc, readonly poller: Poller) {
    super();
    poller.calls.unblock(fd);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused || this.#done) return;
    this.#paused = false;
    if (this.#ready) queueMicrotask(() => this.#read());
    else if (!this.#watched) this.#watch();
  }

  #watch(): void {
    try {
      this.poller.watch(this.fd, POLLED.in, this);
      this.#watched = true;
    } catch (error) {
      queueMicrotask(() => this.#close(error as Error));
    }
  }

  /** See `Waiter`. */
  ready(events: number): void {
    this.#ready = true;
    if ((events & (POLLED.hangUp | POLLED.error)) !== 0) this.#last = true;
    this.#read();
  }

  #read(): void {
    for (let reads = 0; this.#ready && !this.#paused && !this.#done; reads++) {
      if (reads === READS_PER_TURN) return this.poller.again(this);
      let got: number;
      try {
        got = this.poller.calls.read(this.fd, buffer);
      } catch (error) {
        return this.#close(error as Error);
      }
      if (got === 0) return this.#ended();
      // A short read has emptied the pipe, and the poller reports what comes after.
      if (got < 0 || (got < CHUNK && !this.#last)) this.#ready = false;
      if (got === CHUNK) this.#enlarge();
      if (got > 0) this.owner.data?.(got === CHUNK ? buffer : buffer.subarray(0, got));
    }
  }

  #ended(): void {
    this.destroy();
    this.owner.end?.();
    this.tellClosed();
  }

  #enlarge(): void {
    if (this.#large) return;
    this.#large = true;
    this.poller.calls.enlarge(this.fd, BUSY_PIPE);
  }

  #close(error: Error): void {
    if (this.#done) return;
    this.destroy();
    this.tellClosed(error);
  }

  /** See `PipeSource`. */
  readable(): boolean {
    return !this.#done && this.libc.poll(this.fd, POLL.in, 0) !== 0;
  }

  destroy(): void {
    if (this.#done) return;
    this.#done = true;
    if (this.#watched) this.poller.forget(this.fd);
    this.libc.close(this.fd);
  }
}
