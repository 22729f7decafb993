/** Hands files over to the workers: opens them, opens them again when they change, and sends the
 *  descriptors. If the monitor itself lacks descriptors or memory, that says nothing about the
 *  file: it tries again. */

import { reason } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { closeAll } from "../../runtime/program_pipes.ts";
import { isShortage } from "../../files/files.ts";
import type { Opened } from "../handed_files.ts";
import { FROM_MONITOR } from "../message_codec.ts";
import type { FileWatcher } from "./file_watcher.ts";
import { KeptFiles } from "./kept_files.ts";
import type { RulesHistory } from "./rules_history.ts";
import type { Worker } from "./worker_handle.ts";

/** Files in one message. A worker keeps room for this many descriptors when its connections have
 *  used theirs (descriptors.ts). */
const BATCH = 8;

export interface HandOverOptions {
  readonly libc: Libc;
  readonly log: Log;
  readonly files: FileWatcher;
  readonly rules: RulesHistory;
  /** All workers. */
  readonly workers: () => Iterable<Worker>;
}

export class HandOver {
  /** True if the shortage has been logged, until it is over. */
  #shortageLogged = false;
  readonly #kept: KeptFiles;

  constructor(readonly o: HandOverOptions) {
    this.#kept = new KeptFiles(o.libc);
  }

  /** Hands everything to a worker that has nothing. A worker that replaces another gets the last
   *  good version of files that have changed since. Throws. */
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

  /** Hands the present files to a worker that has started with older ones. Throws. */
  catchUp(worker: Worker): void {
    if (worker.files !== "older") return;
    this.#sendNow(worker);
    worker.files = "current";
  }

  /** A worker can use the files of its first `count` messages. */
  good(worker: Worker, count: number): void {
    if (worker.files !== "older" && count === worker.filesSent >>> 0) this.#kept.confirm();
  }

  /** A worker had no room for files that were handed over. */
  lost(worker: Worker): void {
    worker.files = "lost";
  }

  /** A worker has ended before it served. */
  failed(worker: Worker): void {
    if (worker.files === "older") this.#kept.discard();
  }

  /** Hands the present files to one worker. Returns their stamps by path. */
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

  /** Hands changed files to all workers. */
  handChanged(): void {
    this.#toAll(this.#noted(this.o.files.changed()));
  }

  /** Hands all files, changed or not, to all workers. */
  reload(): void {
    this.#toAll(this.#noted(this.o.files.all()));
  }

  /** Hands all files to the workers that have lost some. */
  handLost(): void {
    const incomplete = [...this.o.workers()].filter(({ files }) => files === "lost");
    if (incomplete.length === 0) return;
    const failure = this.#handOver(this.o.files.again(), () => incomplete);
    if (!failure) { for (const worker of incomplete) worker.files = "current"; }
  }

  #toAll(opened: Iterable<Opened>): void {
    const failure = this.#handOver(opened, this.o.workers);
    if (failure && !this.#shortageLogged) {
      this.o.log.error(`unable to hand files to the workers, trying again: ${reason(failure)}`);
    }
    this.#shortageLogged = failure !== undefined;
  }

  /** Files that cannot be handed over count as changed at the next check. Returns the last
   *  error. */
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

  /** Closes the descriptors of the batch. Throws if there is a shortage. */
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

/** Throws, and leaves nothing open then. */
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
