/** The monitor: the process with the privileges. It starts and reaps programs, counts, hands files over
 *  and replaces workers that die. No byte from the network reaches it. What workers may ask of it is in
 *  requests.ts. */

import { programRoom } from "../../accept/descriptors.ts";
import type { Options } from "../../config/options.ts";
import { workerEnvironment } from "../../config/variables.ts";
import { EXIT, FatalError, reason } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { Places } from "../../program/slots.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import type { Runtime, SelfCommand } from "../../runtime/runtime.ts";
import { VERSION } from "../../version.ts";
import type { Identity } from "../identity.ts";
import { filesOf, type Init, packInit } from "../init.ts";
import { confinedByExec } from "../sandbox.ts";
import { type Backoff, backoff } from "./backoff.ts";
import type { End } from "../counts.ts";
import { ConnectionCounts } from "./connection_counts.ts";
import { FileWatch, wantedFiles } from "./file_watch.ts";
import { Grants } from "./grants.ts";
import { HandOver } from "./hand_over.ts";
import { MonitorMetrics } from "./metrics.ts";
import { Port } from "./port.ts";
import { ProgramStarts } from "./program_starts.ts";
import { Requests } from "./requests.ts";
import { RulesHistory } from "./rules_history.ts";
import { Worker } from "./worker_handle.ts";
import { WorkerLogs } from "./worker_log.ts";

/** Files are looked at once in so many milliseconds: a renewal is served within two seconds. */
const LOOK = 1000;
/** How long connections that have no program yet may hold the exit up, in milliseconds. */
const SETTLE = 1000;
/** A worker that has not let go of the port by then is stuck, or not ours any more: it would keep a
 *  successor from listening. In milliseconds. */
const LEAVE = 10_000;
/** When all is to end, a worker may take so much longer than its programs, in milliseconds. */
const WORKER_GRACE = 1000;
/** A worker that has closed its log and goes on so long is not ours any more. In milliseconds. */
const MUTE = 2000;
/** How long the exit waits for workers that are about to end, in milliseconds. */
const LAST_WORDS = 100;
/** How long a worker may take to serve: a slow machine, and a host looked up by name. In milliseconds. */
const START = 60_000;
/** How long the server may be without any worker that serves before it ends: a supervisor that starts it
 *  anew may do better. In milliseconds. */
const UNSERVED = 60_000;

export interface MonitorOptions {
  options: Options;
  env: Readonly<Record<string, string | undefined>>;
  /** What every program gets. */
  base: Readonly<Record<string, string>>;
  runtime: Runtime;
  libc: Libc;
  log: Log;
  self: SelfCommand;
  workers: number;
  identity: Identity;
  init: Pick<Init, "password" | "keyPair" | "resolve">;
  /** Makes the listening socket; `ip` is the host's, when the worker had to look it up. */
  listen: (ip: string | undefined) => number;
  /** Somebody else has that socket too, and keeps it. */
  inherited?: boolean;
  /** Instead of `START`, `LEAVE` and `UNSERVED`, for tests. */
  patience?: {
    readonly start: number;
    readonly leave: number;
    readonly mute?: number;
    readonly unserved?: number;
  };
}

export class Monitor {
  readonly places: Places;
  readonly #grants: Grants;
  readonly #files: HandOver;
  readonly #port: Port;
  readonly #starts: ProgramStarts;
  readonly #requests: Requests;
  readonly #workers = new Map<number, Worker>();
  readonly #backoffs: Backoff[];
  readonly #logs: WorkerLogs;
  readonly #metrics: MonitorMetrics<Worker> | undefined;
  readonly #confined: boolean;
  #look: ReturnType<typeof setInterval> | undefined;
  #draining = false;
  #ending = false;
  /** After `drain`: waits for connections that have no program yet. */
  #patient = true;
  /** After `end`: no program runs any more. */
  #over = false;
  /** The end of the last worker that served, while none does; by `performance.now()`. */
  #unservedSince: number | undefined;
  /** After `drain`: all workers say that they have closed the port; then, it has been looked at. */
  #portState: "open" | "left" | "free" = "open";
  /** Of the first start: any worker that cannot start ends the server. */
  #starting: { ready(): void; failed(error: Error): void } | undefined;
  readonly #closed = Promise.withResolvers<void>();

  constructor(readonly o: MonitorOptions) {
    const { options, env, libc } = o;
    const now = (): number => performance.now();
    this.#confined = confinedByExec(libc, filesOf(options));
    this.places = new Places(Math.min(options.concurrency, this.#programRoom()));
    this.#grants = new Grants({
      places: this.places,
      options,
      workers: o.workers,
      serving: () => this.#serving(),
    });
    this.#logs = new WorkerLogs(libc, o.log);
    const files = new FileWatch(libc, wantedFiles(options, env));
    const rules = new RulesHistory({ libc, files, options, now });
    const workers = (): Iterable<Worker> => this.#workers.values();
    this.#files = new HandOver({ libc, log: o.log, files, rules, workers });
    this.#port = new Port({
      libc,
      listen: o.listen,
      inherited: o.inherited === true,
      backlog: options.backlog,
    });
    this.#starts = new ProgramStarts({ ...o, places: this.places, grants: this.#grants, rules });
    this.#metrics = options.metrics && new MonitorMetrics({
      address: options.metrics,
      libc,
      log: o.log,
      serving: () => [...this.#workers.values()].filter(({ state }) => state === "serving"),
      programs: () => this.places.running,
    });
    this.#requests = new Requests({
      log: o.log,
      port: this.#port,
      files: this.#files,
      starts: this.#starts,
      counts: new ConnectionCounts(options, now),
      grants: this.#grants,
      metrics: this.#metrics,
      named: o.init.resolve ? options.host : undefined,
      failed: (error) => this.#starting?.failed(error),
      serves: (worker) => this.#serves(worker),
      drained: () => this.#settle(),
    });
    this.#backoffs = Array.from({ length: o.workers }, () => backoff(now));
  }

  /** A program that the runtime starts as another user costs a descriptor here while it runs. */
  #programRoom(): number {
    const { options: { uid, gid }, runtime, libc, workers } = this.o;
    const costs = runtime.switchesUser && (uid !== undefined || gid !== undefined);
    return costs
      ? programRoom(libc.raiseFileLimit().soft, libc.openDescriptors(), workers)
      : Infinity;
  }

  /** It has been told to stop. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Resolves after `drain`, when nobody needs this process any more. Rejects with `FatalError` when no
   *  worker can be started for a minute. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Starts the workers; resolves when all of them serve. Rejects with the `FatalError` of the first
   *  that cannot. */
  async start(): Promise<void> {
    const { init, workers } = this.o;
    if (!init.resolve) this.#port.listen();
    this.#metrics?.listen();
    await new Promise<void>((ready, failed) => {
      let left = workers;
      this.#starting = {
        ready: () => --left === 0 && ready(),
        failed,
      };
      for (let slot = 0; slot < workers; slot++) void this.#startWorker(slot, false);
    }).finally(() => {
      this.#starting = undefined;
    });
    this.#look = setInterval(() => {
      this.#repairPort();
      this.#files.look();
      this.#files.again();
    }, LOOK);
  }

  /** SIGHUP. */
  reload(): void {
    // The files come behind it: read once, and what is wrong with one is said once.
    for (const worker of this.#serving()) worker.channel.send({ kind: "RELOAD" });
    this.#files.reload();
  }

  /** Frees the port; workers finish what they have begun, without this process. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#metrics?.close();
    clearInterval(this.#look);
    this.#port.drain();
    for (const worker of this.#workers.values()) {
      if (worker.state === "starting") worker.kill();
      else {
        worker.state = "draining";
        worker.channel.send({ kind: "DRAIN" });
      }
    }
    setTimeout(() => {
      this.#patient = false;
      this.#settle();
    }, SETTLE);
    setTimeout(() => this.#dropStuck(), this.o.patience?.leave ?? LEAVE).unref();
    this.#settle();
  }

  /** Workers share the listening socket, and a worker that was taken over can spoil it for all. */
  #repairPort(): void {
    try {
      if (!this.#port.repair()) return;
      this.o.log.error("the listening socket was shut down by a worker: it listens again");
    } catch (error) {
      this.#closed.reject(new FatalError(`unable to listen again: ${reason(error)}`));
    }
  }

  #dropStuck(): void {
    for (const worker of this.#workers.values()) {
      if (!worker.left) worker.giveUp("it kept the port");
    }
  }

  /** SIGQUIT, or the second SIGTERM when it comes before this process has gone: workers and programs end. */
  end(grace: number): void {
    this.#ending = this.#starts.over = true;
    this.drain();
    const workers = [...this.#workers.values()];
    const programs = workers.flatMap((worker) => [...worker.programs.values()]);
    for (const worker of workers) {
      for (const cancel of worker.waiting.values()) cancel.abort("the server is shutting down");
      worker.channel.send({ kind: "END" });
    }
    for (const program of programs) program.kill("SIGTERM");
    setTimeout(() => {
      for (const program of programs) program.kill("SIGKILL");
      this.#dropStuck();
    }, grace);
    // A worker has seen the end of its programs by then.
    setTimeout(() => {
      for (const worker of this.#workers.values()) worker.giveUp("it did not end");
    }, grace + WORKER_GRACE).unref();
    Promise.all(programs.map(({ exited }) => exited)).then(() => {
      this.#over = true;
      this.#settle();
    });
  }

  /** The last thing before the exit: the log of workers that stay becomes somebody else's task. */
  async leave(): Promise<void> {
    const { runtime, self, identity, log } = this.o;
    // Without a client a worker ends at once, and needs nobody.
    if (this.places.running === 0) await this.#logs.ended(LAST_WORDS);
    await log.finish();
    this.#logs.handOver(runtime, self, identity);
  }

  /** Ends at once, after a start that failed. */
  async abandon(): Promise<void> {
    this.#draining = true;
    this.#metrics?.close();
    clearInterval(this.#look);
    for (const worker of this.#workers.values()) worker.kill();
    this.#port.close();
    await this.#logs.ended(LAST_WORDS);
  }

  *#serving(): Iterable<Worker> {
    for (const worker of this.#workers.values()) {
      if (worker.state !== "starting") yield worker;
    }
  }

  async #startWorker(slot: number, again: boolean): Promise<void> {
    const { runtime, libc, self, options, env, identity, workers, init } = this.o;
    let worker: Worker | undefined;
    try {
      const log = await this.#logs.open(runtime, () => {
        const mute = this.o.patience?.mute ?? MUTE;
        setTimeout(() => worker?.giveUp("it closed its log"), mute).unref();
      });
      const made = worker = await Worker.start(slot, runtime, libc, self, this.#confined, log);
      if (this.#draining) return worker.kill();
      this.#workers.set(slot, worker);
      worker.onMessage = (message) => this.#requests.receive(made, message);
      worker.onGone = (end, words) => this.#gone(made, end, words);
      worker.channel.begin();
      worker.mustServe(this.o.patience?.start ?? START);
      this.#metrics?.introduce(worker);
      this.#files.introduce(worker, again);
      const told: Init = {
        version: VERSION,
        options,
        env: workerEnvironment(env),
        identity,
        workers,
        slot,
        speaks: slot === 0,
        again,
        inherited: this.o.inherited === true,
        ...init,
        resolve: init.resolve && !this.#port.open,
      };
      worker.channel.send({ kind: "INIT", init: packInit(told) });
    } catch (error) {
      const fatal = new FatalError(`unable to start a worker: ${reason(error)}`);
      if (!worker) return this.#failed(slot, fatal);
      worker.fatal = fatal;
      worker.kill(); // and then it is gone
    }
  }

  /** A worker could not be started: fatal at first, tried again later. */
  #failed(slot: number, error: FatalError): void {
    if (this.#starting) return this.#starting.failed(error);
    if (this.#draining) return;
    const unserved = this.#unservedSince === undefined
      ? 0
      : performance.now() - this.#unservedSince;
    if (unserved >= (this.o.patience?.unserved ?? UNSERVED)) {
      this.abandon();
      const hint = "start the server again: after an upgrade it must run the new files";
      return this.#closed.reject(new FatalError(error.message, EXIT.system, hint));
    }
    this.o.log.error(error.message);
    this.#restart(slot);
  }

  #restart(slot: number): void {
    const delay = this.#backoffs[slot]?.delay() ?? 0;
    setTimeout(() => {
      if (!this.#draining) void this.#startWorker(slot, true);
    }, delay);
  }

  /** It accepts connections. */
  #serves(worker: Worker): void {
    this.#logs.readNow(); // whoever knows that it serves knows its warnings
    worker.serves();
    this.#unservedSince = undefined;
    this.#grants.begin(worker);
    this.#backoffs[worker.slot]?.began();
    this.#starting?.ready();
  }

  /** Its process has ended, or it has been told to. Its programs live on without a client. */
  #gone(worker: Worker, end: End, words: string): void {
    const { log, options } = this.o;
    this.#logs.readNow(); // its last words come before ours
    this.#workers.delete(worker.slot);
    if ([...this.#workers.values()].every(({ state }) => state === "starting")) {
      this.#unservedSince ??= performance.now();
    }
    for (const cancel of worker.waiting.values()) cancel.abort("the worker is gone");
    this.#grants.end(worker);
    for (const { hold } of worker.holds.values()) hold.release();
    worker.holds.clear();
    const left = [...worker.programs.values()];
    if (left.length > 0) {
      // They have got EOF. Who does not take it has the idle limit, as with any client that vanishes.
      const timer = setTimeout(() => {
        for (const program of left) program.kill("SIGTERM");
      }, options.idleTimeout * 1000);
      Promise.all(left.map(({ exited }) => exited)).then(() => clearTimeout(timer));
    }
    if (this.#draining) {
      if (worker.breach !== undefined && worker.state !== "starting") {
        log.error(`worker ${worker.pid} ${words}`);
      }
      return this.#settle();
    }
    if (!this.#starting) this.#metrics?.gone(worker, end);
    if (worker.state === "starting") {
      this.#files.failed(worker);
      return this.#failed(
        worker.slot,
        worker.fatal ?? new FatalError(`unable to start a worker: it ${words}`),
      );
    }
    const lost = left.length === 1 ? "1 program has" : `${left.length} programs have`;
    log.error(`worker ${worker.pid} ${words}: ${lost} lost the client`);
    this.#repairPort();
    this.#restart(worker.slot);
  }

  /** Nobody is left who needs this process. */
  #settle(): void {
    if (!this.#draining || (this.#ending && !this.#over)) return;
    const all = [...this.#workers.values()];
    if (!all.every(({ left }) => left)) return;
    if (this.#portState === "open") void this.#proveFree();
    if (this.#portState !== "free") return;
    const done = this.#ending
      ? all.length === 0
      : !this.#patient || all.every(({ state }) => state === "settled");
    if (done) this.#closed.resolve();
  }

  async #proveFree(): Promise<void> {
    this.#portState = "left";
    await this.#port.proveFree(() => [...this.#workers.values()]);
    this.#portState = "free";
    this.#settle();
  }
}
