/** Starts workers, replaces those that die, and tells them to stop. If a worker cannot be
 *  started, the error is fatal when the server starts. Later, the start is tried again. */

import { workerEnvironment } from "../../config/variables.ts";
import type { Options } from "../../config/options.ts";
import { EXIT, FatalError, reason } from "../../errors.ts";
import { startFailure } from "../../reason.ts";
import { VERSION } from "../../version.ts";
import type { WorkerEnd } from "../counts.ts";
import { type Init, packInit } from "../init.ts";
import type { WorkerMessage } from "../messages.ts";
import { SERVED_STATES } from "../worker_states.ts";
import { type Backoff, backoff } from "./backoff.ts";
import type { Grants } from "./grants.ts";
import type { HandOver } from "./hand_over.ts";
import type { MonitorMetrics } from "./metrics.ts";
import type { MonitorOptions } from "./options.ts";
import type { Port } from "./port.ts";
import { Worker } from "./worker_handle.ts";
import type { WorkerLogs } from "./worker_log.ts";
import { type WorkerProcess, workerStartError } from "./worker_process.ts";

/** A worker that has closed its log and has not ended after this time is compromised. In
 *  milliseconds. */
const LOG_CLOSED_TIMEOUT = 2000;
/** How long a worker may take until it serves: the machine may be slow, and a host may be a name.
 *  In milliseconds. */
const START_TIMEOUT = 60_000;
/** How long the server may be without a worker that serves before it ends: a supervisor that starts
 *  it again may have more success. In milliseconds. */
const UNSERVED_TIMEOUT = 60_000;

export interface WorkersOptions {
  readonly monitor: MonitorOptions;
  readonly logs: WorkerLogs;
  readonly port: Port;
  readonly files: HandOver;
  readonly grants: Grants;
  readonly metrics: MonitorMetrics<Worker> | undefined;
  /** Handles a request. May throw `DecodeError`, which ends the worker. */
  readonly receive: (worker: Worker, message: WorkerMessage) => void;
  /** A worker that served has ended, and the server goes on. */
  readonly lost: () => void;
  /** A worker has ended while the server stops. */
  readonly drained: () => void;
  /** No worker could be started for a minute. */
  readonly failed: (error: FatalError) => void;
}

export class Workers {
  readonly #byIndex = new Map<number, Worker>();
  readonly #backoffs: Backoff[];
  /** Set during the first start, when any worker that cannot start ends the server. */
  #first: { ready(): void; failed(error: Error): void } | undefined;
  /** True: no worker is started any more. */
  #stopped = false;
  /** When the last serving worker ended, by `performance.now()`; undefined while one serves. */
  #unservedSince: number | undefined;

  constructor(readonly parts: WorkersOptions) {
    const { workers } = parts.monitor;
    this.#backoffs = Array.from({ length: workers }, () => backoff(() => performance.now()));
  }

  /** All workers whose process has not ended. */
  readonly all = (): readonly Worker[] => [...this.#byIndex.values()];

  /** Workers that have begun to serve and can receive messages. */
  readonly served = (): readonly Worker[] =>
    this.all().filter(({ state }) => SERVED_STATES.includes(state));

  /** Starts the workers. Resolves when all of them serve. Rejects with the `FatalError` of the
   *  first that cannot start. */
  async start(): Promise<void> {
    let left = this.parts.monitor.workers;
    await new Promise<void>((ready, failed) => {
      this.#first = { ready: () => --left === 0 && ready(), failed };
      for (let index = 0; index < this.parts.monitor.workers; index++) {
        void this.#start(index, false);
      }
    }).finally(() => this.#first = undefined);
  }

  /** Something that a worker needs is not available: fatal at the first start. */
  failStart(error: Error): void {
    this.#first?.failed(error);
  }

  /** SERVING. */
  serves(worker: Worker): void {
    this.parts.logs.readNow(); // copies its warnings before the server reports that it serves
    worker.serves();
    this.#unservedSince = undefined;
    this.parts.grants.begin(worker);
    this.#backoffs[worker.index]?.began();
    this.#first?.ready();
  }

  /** Workers finish what they have begun; no new worker is started. */
  drain(): void {
    this.#stopped = true;
    for (const worker of this.all()) worker.drain();
  }

  /** Ends all workers. */
  kill(): void {
    this.#stopped = true;
    for (const worker of this.all()) worker.kill();
  }

  async #start(index: number, again: boolean): Promise<void> {
    const { monitor, logs, metrics, files } = this.parts;
    const { runtime, libc, timeouts } = monitor;
    let process: WorkerProcess | undefined;
    let worker: Worker | undefined;
    try {
      process = monitor.processes.next();
      await logs.open(runtime, process.log, () => {
        setTimeout(
          () => worker?.giveUp("it closed its log"),
          timeouts?.logClosed ?? LOG_CLOSED_TIMEOUT,
        ).unref();
      });
      const made = worker = await Worker.of(index, process, runtime, libc);
      if (this.#stopped) return worker.kill();
      this.#byIndex.set(index, worker);
      worker.take({
        message: (message) => this.parts.receive(made, message),
        gone: (end, words) => this.#gone(made, end, words),
      });
      worker.channel.begin();
      worker.mustServe(timeouts?.start ?? START_TIMEOUT);
      metrics?.introduce(worker);
      files.introduce(worker, again);
      worker.channel.send({ kind: "INIT", init: packInit(this.#init(index, again)) });
    } catch (error) {
      const fatal = workerStartError(reason(error));
      if (!worker) {
        process?.end();
        return this.#failed(index, fatal);
      }
      worker.fatal = fatal;
      worker.kill(); // `#gone` follows
    }
  }

  #init(index: number, again: boolean): Init {
    const { options, env, identity, workers, init, inherited = false } = this.parts.monitor;
    return {
      version: VERSION,
      options,
      env: workerEnvironment(env),
      identity,
      workers,
      index,
      logsForAll: index === 0,
      again,
      inherited,
      ...init,
      resolve: init.resolve && !this.parts.port.open,
    };
  }

  /** A worker could not be started. */
  #failed(index: number, error: FatalError): void {
    if (this.#first) return this.#first.failed(error);
    if (this.#stopped) return;
    const unserved = this.#unservedSince === undefined
      ? 0
      : performance.now() - this.#unservedSince;
    if (unserved >= (this.parts.monitor.timeouts?.unserved ?? UNSERVED_TIMEOUT)) {
      const hint = "restart the server: after an upgrade it must run the new files";
      return this.parts.failed(new FatalError(error.message, EXIT.system, hint));
    }
    this.parts.monitor.log.error(error.message);
    this.#restart(index);
  }

  #restart(index: number): void {
    const delay = this.#backoffs[index]?.delay() ?? 0;
    setTimeout(() => {
      if (!this.#stopped) void this.#start(index, true);
    }, delay);
  }

  /** A worker's process has ended. Its programs go on without a client. */
  #gone(worker: Worker, end: WorkerEnd, words: string): void {
    const { monitor: { log, options }, logs, grants, metrics, files } = this.parts;
    logs.readNow(); // its last lines come before ours
    this.#byIndex.delete(worker.index);
    if (this.served().length === 0) this.#unservedSince ??= performance.now();
    for (const cancel of worker.waiting.values()) cancel.abort(startFailure("the worker is gone"));
    grants.end(worker);
    for (const { reservation } of worker.reservations.values()) reservation.release();
    worker.reservations.clear();
    const left = [...worker.programs.values()];
    if (left.length > 0) {
      // The programs read end of file. A program that still runs after the idle limit gets SIGTERM,
      // as with any client that vanishes.
      const timer = setTimeout(() => {
        for (const program of left) program.kill("SIGTERM");
      }, options.idleTimeout * 1000);
      Promise.all(left.map(({ exited }) => exited)).then(() => clearTimeout(timer));
    }
    if (this.#stopped) {
      if (worker.breach !== undefined && worker.served) log.error(`worker ${worker.pid} ${words}`);
      return this.parts.drained();
    }
    if (!this.#first) metrics?.gone(worker, end);
    if (!worker.served) {
      files.failed(worker);
      const fatal = worker.fatal ?? workerStartError(`it ${words}`);
      return this.#failed(worker.index, fatal);
    }
    log.error(`worker ${worker.pid} ${words}: ${lost(left.length, options)}`);
    this.parts.lost();
    this.#restart(worker.index);
  }
}

/** The words for what is lost with a worker that had `programs`. */
function lost(programs: number, { handler }: Options): string {
  if (handler) return "its connections are lost";
  return `${programs === 1 ? "1 program has" : `${programs} programs have`} lost the client`;
}
