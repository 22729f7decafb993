/** Files on their way to the workers: opened here, again when they change, and sent as descriptors. A
 *  shortage of the monitor's own (descriptors, memory) is not what has become of a file: it is tried
 *  again. */

import { reason } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { closeAll } from "../../runtime/program_pipes.ts";
import { isShortage } from "../../files/files.ts";
import type { Opened } from "../handed_files.ts";
import { FROM_MONITOR } from "../messages.ts";
import type { FileWatcher } from "./file_watcher.ts";
import { KeptFiles } from "./kept_files.ts";
import type { RulesHistory } from "./rules_history.ts";
import type { Worker } from "./worker_handle.ts";

/** Files in one message: a worker whose connections have taken their part keeps room for so many
 *  (descriptors.ts). */
const BATCH = 8;

export interface HandOverOptions {
  readonly libc: Libc;
  readonly log: Log;
  readonly files: FileWatcher;
  readonly rules: RulesHistory;
  /** All there are. */
  readonly workers: () => Iterable<Worker>;
}

export class HandOver {
  /** What is tried again was said once. */
  #short = false;
  readonly #kept: KeptFiles;

  constructor(readonly o: HandOverOptions) {
    this.#kept = new KeptFiles(o.libc);
  }

  /** Everything, to a worker that has nothing. One that replaces another gets what was good last in place of
   *  what has changed since. Throws. */
  introduce(worker: Worker, again: boolean): void {
    if (!again) {
      for (const batch of batches(this.#noted(this.o.files.all()))) this.#send(batch, [worker]);
      return;
    }
    const stamps = this.#sendNow(worker);
    for (const { file, bytes } of this.#kept.differing(stamps)) {
      worker.filesSent++;
      const whole = bytes !== undefined;
      worker.channel.send({ kind: "KEPT", whole, bytes: bytes ?? new Uint8Array(), file });
      worker.files = "older";
    }
  }

  /** A worker that has started with older files gets those that are there now. Throws. */
  catchUp(worker: Worker): void {
    if (worker.files !== "older") return;
    this.#sendNow(worker);
    worker.files = "current";
  }

  /** A worker can use what it was handed in its first `count` messages. */
  good(worker: Worker, count: number): void {
    if (worker.files !== "older" && count === worker.filesSent >>> 0) this.#kept.confirm();
  }

  /** A worker had no room for what it was handed. */
  lost(worker: Worker): void {
    worker.files = "lost";
  }

  /** A worker has not come to serve. */
  failed(worker: Worker): void {
    if (worker.files === "older") this.#kept.doubt();
  }

  /** Returns the stamps by path. */
  #sendNow(worker: Worker): Map<string, string> {
    const stamps = new Map<string, string>();
    for (const batch of batches(this.o.files.again())) {
      for (const { file: { path, stamp } } of batch) stamps.set(path, stamp);
      this.#send(batch, [worker]);
    }
    return stamps;
  }

  *#noted(opened: Iterable<Opened>): Iterable<Opened> {
    for (const one of opened) {
      this.#kept.note(one);
      yield one;
    }
  }

  /** What has changed, to all workers. */
  look(): void {
    this.#toAll(this.#noted(this.o.files.changed()));
  }

  /** Everything, changed or not, to all workers. */
  reload(): void {
    this.#toAll(this.#noted(this.o.files.all()));
  }

  /** Everything, to the workers that had no room for what they were sent. */
  again(): void {
    const lacking = [...this.o.workers()].filter(({ files }) => files === "lost");
    if (lacking.length === 0) return;
    const failure = this.#handOver(this.o.files.again(), () => lacking);
    if (!failure) { for (const worker of lacking) worker.files = "current"; }
  }

  #toAll(opened: Iterable<Opened>): void {
    const failure = this.#handOver(opened, this.o.workers);
    if (failure && !this.#short) {
      this.o.log.error(`unable to hand files to the workers, trying again: ${reason(failure)}`);
    }
    this.#short = failure !== undefined;
  }

  /** What fails counts as changed at the next look. Returns why. */
  #handOver(opened: Iterable<Opened>, workers: () => Iterable<Worker>): unknown {
    const { files, rules } = this.o;
    let failure: unknown;
    for (const batch of batches(opened)) {
      try {
        this.#send(batch, workers());
        if (batch.some(({ file: { path } }) => files.isRules(path))) rules.renew();
      } catch (error) {
        failure = error;
        for (const { file: { path } } of batch) files.forget(path);
      }
    }
    return failure;
  }

  /** Closes what the batch has open, and throws for a shortage. */
  #send(batch: readonly Opened[], workers: Iterable<Worker>): void {
    const { libc } = this.o;
    const fds = batch.flatMap(({ fd }) => fd === undefined ? [] : [fd]);
    try {
      for (const { file: { path, error } } of batch) {
        if (error && isShortage(error)) throw new Error(`${path}: ${error.message}`);
      }
      const files = batch.map(({ file, fd }) => ({ ...file, open: fd !== undefined }));
      const frame = FROM_MONITOR.encode({ kind: "FILES", files });
      for (const worker of workers) {
        worker.filesSent++;
        worker.channel.sendFrame(frame, copies(libc, fds));
      }
    } finally {
      closeAll(libc, fds);
    }
  }
}

function* batches(opened: Iterable<Opened>): Iterable<readonly Opened[]> {
  let batch: Opened[] = [];
  for (const one of opened) {
    batch.push(one);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Throws with nothing left open. */
function copies(libc: Libc, fds: readonly number[]): number[] {
  const made: number[] = [];
  try {
    for (const fd of fds) made.push(libc.dup(fd));
    return made;
  } catch (error) {
    closeAll(libc, made);
    throw error;
  }
}
