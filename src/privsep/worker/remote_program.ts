/** A program that the monitor has started, or starts now, as the worker sees it. */

import type { RunningProgram } from "../../connection.ts";
import type { DelayedEnds, ProgramStreams, Sink, Source } from "../../runtime/runtime.ts";
import type { ToMonitor } from "../channel.ts";

/** Kept small, since thousands may run. */
export class RemoteProgram implements RunningProgram {
  readonly exited: Promise<number | undefined>;
  readonly input: Sink;
  readonly output: Source;
  readonly delayed?: DelayedEnds;
  #resolve: ((status: number | undefined | Promise<never>) => void) | undefined;
  #identified: PromiseWithResolvers<void> | undefined;

  /** `pid`: 0 if it is not known yet. */
  constructor(
    readonly channel: ToMonitor,
    readonly id: number,
    public pid: number,
    { input, output, delayed }: ProgramStreams,
    readonly running: number | undefined = undefined,
  ) {
    this.input = input;
    this.output = output;
    if (delayed) this.delayed = delayed;
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.exited = promise;
    this.#resolve = resolve;
  }

  /** See `RunningProgram`. */
  identified(): Promise<void> | undefined {
    if (this.pid !== 0 || (!this.#resolve && !this.#identified)) return undefined;
    if (!this.#identified) {
      this.#identified = Promise.withResolvers();
      this.channel.send({ kind: "IDENTIFY", id: this.id });
    }
    return this.#identified.promise;
  }

  /** RUNS. */
  runs(pid: number): void {
    this.pid = pid;
    this.#identified?.resolve();
  }

  /** It has ended; or, with undefined, its end will not be known. */
  ended(status: number | undefined): void {
    this.#resolve?.(status);
    this.#resolve = undefined;
  }

  /** It was not started. */
  refused(error: Error): void {
    this.#identified?.reject(error);
    this.#identified?.promise.catch(() => {}); // `exited` reports it
    this.#resolve?.(Promise.reject(error));
    this.#resolve = undefined;
  }

  /** The monitor has gone. `error`: it may have left the program unstarted. */
  orphaned(error: Error | undefined): void {
    if (this.pid === 0 && error) {
      (this.#identified ??= Promise.withResolvers()).reject(error);
      this.#identified.promise.catch(() => {});
    } else this.#identified?.resolve();
    this.ended(undefined);
  }

  kill(signal: "SIGTERM" | "SIGKILL"): boolean {
    // Not possible without a monitor: a worker may signal no other process.
    if (!this.channel.open || !this.#resolve) return false;
    this.channel.send({ kind: "KILL", id: this.id, signal });
    return true;
  }
}
