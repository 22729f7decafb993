/** Programs on Bun: real pipes made by libc (Bun's own "pipe" is a socketpair, which a program
 *  cannot open as /dev/stdin), and the two ends of them that stay here. */

import { constants } from "node:os";
import { env } from "node:process";
import { bun, type FileSink } from "./bun_types.ts";
import type { Libc } from "./libc.ts";
import { POLL } from "./libc.ts";
import type { DelayedEnds, Program, Sink, Source, SpawnOptions } from "./runtime.ts";

const nothing = (): void => {};

/** The writing end of a pipe. The native sink is made with the first byte: an idle connection does
 *  without it. */
class PipeSink implements Sink {
  onDrain: () => void = nothing;
  onClose: (error?: Error) => void = nothing;
  #sink: FileSink | undefined;
  /** Bytes are on their way and the pipe is full. */
  #waiting = false;
  #ending = false;
  #closed = false;

  constructor(readonly fd: number, readonly libc: Libc) {}

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#ending) return true;
    this.#sink ??= bun.file(this.fd).writer();
    try {
      // A large chunk is tried at once, and only this promise tells of its failure.
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
    else this.onDrain();
  };

  readonly #failed = (error: Error): void => {
    this.#waiting = false;
    if (this.#closed) return;
    this.#close();
    this.onClose(error);
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
    // The sink's own copy of the number must be out of use before the number is given back.
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

/** The reading end of a pipe; reading is by request, so that what is not wanted stays in the
 *  program. */
class PipeSource implements Source {
  onData: (chunk: Uint8Array) => void = nothing;
  onEnd: () => void = nothing;
  onClose: (error?: Error) => void = nothing;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #paused = true;
  #reading = false;
  #done = false;
  /** Read while paused; kept for `resume()`. */
  #held: { done: boolean; value?: Uint8Array | undefined } | undefined;

  constructor(readonly fd: number, readonly libc: Libc) {
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
      this.onEnd();
      this.onClose();
      return;
    }
    if (result.value) this.onData(result.value);
    if (!this.#paused && !this.#reading && !this.#done) this.#read();
  };

  readonly #failed = (error: Error): void => {
    if (this.#done) return;
    this.#close();
    this.onClose(error);
  };

  /** Bytes or the end are there that `onData` and `onEnd` have not told yet. */
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

/** See `Runtime.spawn`. */
export function spawn(libc: Libc, options: SpawnOptions): Program {
  const mine: number[] = [];
  const theirs: number[] = [];
  const close = (fds: number[]): void => fds.forEach((fd) => libc.close(fd));
  /** A pipe, one end for the program, the other for us. */
  const pipe = (reads: "program" | "server"): void => {
    const [read, write] = libc.pipe();
    theirs.push(reads === "program" ? read : write);
    mine.push(reads === "program" ? write : read);
  };
  let child;
  try {
    pipe("program");
    pipe("server");
    if (options.delayed) {
      const [ours, control] = libc.socketpair("stream");
      mine.push(ours);
      theirs.push(control);
      mine.push(libc.dup(ours)); // by itself: it may throw
      pipe("program");
      pipe("server");
    }
    const [zero, one, ...more] = theirs as [number, number, ...number[]];
    const [name = "", ...args] = options.command;
    child = bun.spawn([lookUp(name), ...args], {
      argv0: name,
      env: options.env,
      stdio: [zero, one, 2, ...more],
    });
  } catch (error) {
    close(mine);
    throw error;
  } finally {
    close(theirs);
  }
  const process = child;
  const [input, output, controlRead, controlWrite, tlsInput, tlsOutput] = mine as [
    number,
    number,
    number?,
    number?,
    number?,
    number?,
  ];
  const source = new PipeSource(output, libc);
  return {
    pid: process.pid,
    input: new PipeSink(input, libc),
    output: source,
    exited: process.exited.then(() => waitStatus(process.exitCode, process.signalCode)),
    kill(signal) {
      if (process.exitCode !== null || process.signalCode !== null) return false;
      process.kill(signal);
      return true;
    },
    ...(options.delayed
      ? { delayed: delayedEnds(libc, source, [controlRead, controlWrite, tlsInput, tlsOutput]) }
      : {}),
  };
}

/** In the server's $PATH. Bun would take the program's own, which a rule can set. */
function lookUp(name: string): string {
  if (name.includes("/")) return name;
  const path = bun.which(name, { PATH: env["PATH"] ?? "/usr/bin:/bin" });
  if (path !== null) return path;
  throw Object.assign(new Error("not found in PATH"), { code: "ENOENT" });
}

function delayedEnds(
  libc: Libc,
  output: PipeSource,
  [controlRead, controlWrite, tlsInput, tlsOutput]: (number | undefined)[],
): DelayedEnds {
  // Both ends of the control socket are ours to drive by readiness.
  libc.setNonBlocking(controlRead as number, true);
  const controlInput = new PipeSource(controlRead as number, libc);
  return {
    controlInput,
    controlOutput: new PipeSink(controlWrite as number, libc),
    tlsInput: new PipeSink(tlsInput as number, libc),
    tlsOutput: new PipeSource(tlsOutput as number, libc),
    controlReadable: () => controlInput.readable(),
    outputReadable: () => output.readable(),
  };
}

function waitStatus(code: number | null, signal: string | null): number {
  if (signal) return (constants.signals as Record<string, number>)[signal] ?? 0;
  return (code ?? 0) * 256;
}
