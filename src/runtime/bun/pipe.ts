/** Our ends of a program's pipes, on Bun. On Linux poll_pipe.ts reads and writes them; elsewhere
 *  Bun's own streams do. These do not close the descriptor, so the classes here do. Knows nothing
 *  of programs. */

import { poller } from "./poll.ts";
import { PolledSink, PolledSource } from "./poll_pipe.ts";
import { bun, type FileSink } from "./types.ts";
import type { Libc } from "../libc/libc.ts";
import { POLL } from "../libc/libc.ts";
import { Owned, type Sink, type Source } from "../stream.ts";

/** The part of libc that a writing end needs. */
type Closing = Pick<Libc, "close">;

/** The writing end of a pipe, which it closes. */
export const PipeSink = function (fd: number, libc: Closing): Sink {
  const polled = poller();
  return polled ? new PolledSink(fd, libc, polled) : new StreamSink(fd, libc);
} as unknown as new (fd: number, libc: Closing) => Sink;

/** The reading end of a pipe, which it closes. Reads only when not paused, so that the program is
 *  held up by a full pipe. */
export const PipeSource = function (fd: number, libc: Libc): PipeSource {
  const polled = poller();
  return polled ? new PolledSource(fd, libc, polled) : new StreamSource(fd, libc);
} as unknown as new (fd: number, libc: Libc) => PipeSource;

export interface PipeSource extends Source {
  /** True if bytes or end of file can be read that the owner did not get yet. */
  readable(): boolean;
}

/** Makes the native sink with the first byte, so that an idle connection has none. */
class StreamSink extends Owned implements Sink {
  #sink: FileSink | undefined;
  /** Bytes are on their way and the pipe is full. */
  #waiting = false;
  #ending = false;
  #closed = false;

  constructor(readonly fd: number, readonly libc: Closing) {
    super();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#ending) return true;
    this.#sink ??= bun.file(this.fd).writer();
    try {
      // A large chunk is written at once, and only the promise of `write` reports its failure.
      const written = this.#sink.write(chunk);
      const flushed = this.#sink.flush();
      if (!(written instanceof Promise || flushed instanceof Promise)) return true;
      this.#waiting = true;
      Promise.all([written, flushed]).then(this.#flushed, this.#failed);
      return false;
    } catch (error) {
      queueMicrotask(() => this.#failed(error as Error));
      return true;
    }
  }

  readonly #flushed = (): void => {
    this.#waiting = false;
    if (this.#closed) return;
    if (this.#ending) this.#close();
    else this.owner.drain?.();
  };

  readonly #failed = (error: Error): void => {
    this.#waiting = false;
    if (this.#closed) return;
    this.#close();
    this.tellClosed(error);
  };

  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    if (!this.#waiting) this.#close();
  }

  destroy(): void {
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const sink = this.#sink;
    if (!sink) {
      this.libc.close(this.fd);
      return;
    }
    // Close the descriptor only after the sink, which has the same number, no longer uses it.
    const close = (): void => this.libc.close(this.fd);
    try {
      const ended = sink.end();
      if (ended instanceof Promise) ended.then(close, close);
      else close();
    } catch {
      close();
    }
  }
}

class StreamSource extends Owned implements PipeSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #paused = true;
  #reading = false;
  #done = false;
  /** A result that came while paused; kept for `resume()`. */
  #held: { done: boolean; value?: Uint8Array | undefined } | undefined;

  constructor(readonly fd: number, readonly libc: Libc) {
    super();
    this.#reader = bun.file(fd).stream().getReader();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused || this.#done) return;
    this.#paused = false;
    const held = this.#held;
    if (held) {
      this.#held = undefined;
      queueMicrotask(() => this.#got(held));
    } else if (!this.#reading) this.#read();
  }

  #read(): void {
    this.#reading = true;
    this.#reader.read().then(this.#got, this.#failed);
  }

  readonly #got = (result: { done: boolean; value?: Uint8Array | undefined }): void => {
    this.#reading = false;
    if (this.#done) return;
    if (this.#paused) {
      this.#held = result;
      return;
    }
    if (result.done) {
      this.#close();
      this.owner.end?.();
      this.tellClosed();
      return;
    }
    if (result.value) this.owner.data?.(result.value);
    if (!this.#paused && !this.#reading && !this.#done) this.#read();
  };

  readonly #failed = (error: Error): void => {
    if (this.#done) return;
    this.#close();
    this.tellClosed(error);
  };

  /** See `PipeSource`. */
  readable(): boolean {
    if (this.#done) return false;
    return this.#held !== undefined || this.libc.poll(this.fd, POLL.in, 0) !== 0;
  }

  destroy(): void {
    if (this.#done) return;
    this.#done = true;
    const close = (): void => this.libc.close(this.fd);
    this.#reader.cancel().then(close, close);
  }

  #close(): void {
    this.#done = true;
    this.libc.close(this.fd);
  }
}
