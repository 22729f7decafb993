/** The monitor: the process with the privileges. It starts and reaps programs, counts, hands files over
 *  and replaces workers that die. No byte from the network reaches it. What a worker may ask, and when,
 *  is the table `PERMITTED`; anything else ends the worker (OpenSSH's monitor is the model). */

import { Limits } from "../admit/limits.ts";
import { DecodeError } from "../codec/bytes.ts";
import { parseIp } from "../codec/ip.ts";
import { EXIT, FatalError, reason, UsageError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Options } from "../options.ts";
import { Places } from "../places.ts";
import { closeAll } from "../runtime/program_pipes.ts";
import type { Endpoint, Libc } from "../runtime/libc.ts";
import type { Runtime, SelfCommand } from "../runtime/runtime.ts";
import { type Backoff, backoff } from "./backoff.ts";
import { FileWatch, type Opened } from "./handed_files.ts";
import { Grants } from "./grants.ts";
import type { Identity } from "./identity.ts";
import { type Init, wantedFiles, workerEnvironment } from "./init.ts";
import { Frame, KIND, REFUSALS, type WireAsk, type WorkerMessage } from "./messages.ts";
import { MonitorMetrics } from "./monitor_metrics.ts";
import { ProgramStarts } from "./program_starts.ts";
import { confinedByExec, filesOf } from "./sandbox.ts";
import { RulesHistory } from "./rules_history.ts";
import { VERSION } from "../version.ts";
import { Worker, type WorkerState } from "./worker_handle.ts";

/** Which requests a worker may make in which state. */
const PERMITTED: Readonly<Record<WorkerMessage["kind"], readonly WorkerState[]>> = {
  [KIND.RESOLVED]: ["starting"],
  [KIND.READY]: ["starting"],
  [KIND.SERVING]: ["starting"],
  [KIND.FATAL]: ["starting"],
  [KIND.START]: ["serving", "draining"],
  [KIND.CANCEL]: ["serving", "draining"],
  [KIND.KILL]: ["serving", "draining", "settled"],
  [KIND.TAKE]: ["serving", "draining"],
  [KIND.CHECK]: ["serving", "draining"],
  [KIND.RELEASE]: ["serving", "draining", "settled"],
  [KIND.PLACED]: ["starting"],
  [KIND.COUNTS]: ["serving", "draining", "settled"],
  [KIND.SCRAPE]: ["serving", "draining", "settled"],
  [KIND.LOST]: ["serving", "draining"],
  [KIND.WANT]: ["serving", "draining"],
  [KIND.RETURN]: ["serving", "draining", "settled"],
  [KIND.LEFT]: ["draining"],
  [KIND.SETTLED]: ["draining"],
};

/** Connections of one worker that are counted, beyond four times as many as -c and --pending allow. */
const MORE_HOLDS = 65_536;
/** Files are looked at once in so many milliseconds: a renewal is served within two seconds. */
const LOOK = 1000;
/** Files in one message: a worker whose connections have taken their part keeps room for so many
 *  (descriptors.ts). */
const BATCH = 8;
/** How long connections that have no program yet may hold the exit up, in milliseconds. */
const SETTLE = 1000;
/** A worker that has not let go of the port by then is stuck, or not ours any more: it would keep a
 *  successor from listening. In milliseconds. */
const LEAVE = 10_000;
/** How long a worker may take to serve: a slow machine, and a host looked up by name. In milliseconds. */
const START = 60_000;
/** How long the server may be without any worker that serves before it ends: a supervisor that starts it
 *  anew may do better. In milliseconds. */
const UNSERVED = 60_000;

export interface MonitorOptions {
  options: Options;
  argv: readonly string[];
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
  patience?: { readonly start: number; readonly leave: number; readonly unserved?: number };
}

export class Monitor {
  readonly places: Places;
  readonly #grants: Grants;
  readonly #limits: Limits;
  readonly #files: FileWatch;
  readonly #rules: RulesHistory;
  readonly #starts: ProgramStarts;
  readonly #workers = new Map<number, Worker>();
  readonly #backoffs: Backoff[];
  readonly #metrics: MonitorMetrics<Worker> | undefined;
  #listenFd: number | undefined;
  #listensAt: Endpoint | undefined;
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
  /** Of the first start: any worker that cannot start ends the server. */
  #starting: { ready(): void; failed(error: Error): void } | undefined;
  readonly #closed = Promise.withResolvers<void>();

  constructor(readonly o: MonitorOptions) {
    const { options, env, libc } = o;
    const now = (): number => performance.now();
    this.#confined = confinedByExec(libc, filesOf(options));
    this.places = new Places(options.concurrency);
    this.#grants = new Grants({
      places: this.places,
      options,
      workers: o.workers,
      serving: () => this.#serving(),
    });
    this.#limits = new Limits({ programs: options.concurrency, now });
    this.#files = new FileWatch(libc, wantedFiles(options, env));
    this.#rules = new RulesHistory({ libc, files: this.#files, options, now });
    this.#starts = new ProgramStarts({
      ...o,
      places: this.places,
      grants: this.#grants,
      rules: this.#rules,
    });
    this.#metrics = options.metrics && new MonitorMetrics({
      address: options.metrics,
      libc,
      log: o.log,
      serving: () => [...this.#workers.values()].filter(({ state }) => state === "serving"),
      programs: () => this.places.running,
    });
    this.#backoffs = Array.from({ length: o.workers }, () => backoff(now));
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
    if (!init.resolve) this.#listen(undefined);
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
      this.#repairListener();
      this.#handOver([...this.#files.changed()]);
      this.#handOverAgain();
    }, LOOK);
  }

  /** SIGHUP. */
  reload(): void {
    // The files come behind it: read once, and what is wrong with one is said once.
    for (const worker of this.#serving()) worker.channel.send(new Frame(KIND.RELOAD).done());
    this.#handOver([...this.#files.all()]);
  }

  /** Frees the port; workers finish what they have begun, without this process. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#metrics?.close();
    clearInterval(this.#look);
    if (this.#listenFd !== undefined) this.#stopListening(this.#listenFd);
    this.#listenFd = undefined;
    for (const worker of this.#workers.values()) {
      if (worker.state === "starting") worker.kill();
      else {
        worker.state = "draining";
        worker.channel.send(new Frame(KIND.DRAIN).done());
      }
    }
    setTimeout(() => {
      this.#patient = false;
      this.#settle();
    }, SETTLE);
    setTimeout(() => this.#dropStuck(), this.o.patience?.leave ?? LEAVE).unref();
    this.#settle();
  }

  /** Workers have copies, and accept who is in the queue; with the last copy the queue is reset. */
  #stopListening(fd: number): void {
    const { libc, inherited } = this.o;
    try {
      if (!inherited) libc.turnAway(fd); // a supervisor's goes on: the queue is for the successor
    } catch {
      // A kernel without filters: between the last accept and the close somebody may come.
    }
    libc.close(fd);
  }

  #listen(ip: string | undefined): void {
    this.#listenFd = this.o.listen(ip);
    this.#listensAt = this.o.libc.getsockname(this.#listenFd);
  }

  /** Workers share the listening socket, and a worker that was taken over can spoil it for all. */
  #repairListener(): void {
    const [fd, at] = [this.#listenFd, this.#listensAt];
    if (fd === undefined || at === undefined) return;
    const { libc, log, options } = this.o;
    try {
      if (!libc.repairListener(fd, options.backlog, at)) return;
      log.error("the listening socket was shut down by a worker: it listens again");
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
      worker.channel.send(new Frame(KIND.END).done());
    }
    for (const program of programs) program.kill("SIGTERM");
    setTimeout(() => {
      for (const program of programs) program.kill("SIGKILL");
      this.#dropStuck();
    }, grace);
    Promise.all(programs.map(({ exited }) => exited)).then(() => {
      this.#over = true;
      this.#settle();
    });
  }

  /** Ends at once, after a start that failed. */
  abandon(): void {
    this.#draining = true;
    this.#metrics?.close();
    clearInterval(this.#look);
    for (const worker of this.#workers.values()) worker.kill();
    if (this.#listenFd !== undefined) this.o.libc.close(this.#listenFd);
    this.#listenFd = undefined;
  }

  *#serving(): Iterable<Worker> {
    for (const worker of this.#workers.values()) {
      if (worker.state !== "starting") yield worker;
    }
  }

  async #startWorker(slot: number, again: boolean): Promise<void> {
    const { runtime, libc, self, argv, env, identity, workers, init } = this.o;
    let worker: Worker | undefined;
    try {
      const made = worker = await Worker.start(slot, runtime, libc, self, this.#confined);
      if (this.#draining) return worker.kill();
      this.#workers.set(slot, worker);
      worker.onMessage = (message) => this.#receive(made, message);
      worker.onGone = (why) => this.#gone(made, why);
      worker.channel.begin();
      worker.mustServe(this.o.patience?.start ?? START);
      this.#metrics?.introduce(worker);
      this.#sendFiles([worker], this.#files.all());
      const told: Init = {
        version: VERSION,
        argv,
        env: workerEnvironment(env),
        identity,
        workers,
        slot,
        speaks: slot === 0,
        again,
        inherited: this.o.inherited === true,
        ...init,
        resolve: init.resolve && this.#listenFd === undefined,
      };
      const text = new TextEncoder().encode(JSON.stringify(told));
      worker.channel.send(new Frame(KIND.INIT).bytes(text).done());
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

  /** Its process has ended, or it has been told to. Its programs live on without a client. */
  #gone(worker: Worker, why: string): void {
    const { log, options } = this.o;
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
        log.error(`worker ${worker.pid} ${why}`);
      }
      return this.#settle();
    }
    if (!this.#starting) this.#metrics?.gone(worker, why);
    if (worker.state === "starting") {
      return this.#failed(
        worker.slot,
        worker.fatal ?? new FatalError(`unable to start a worker: it ${why}`),
      );
    }
    const lost = left.length === 1 ? "1 program has" : `${left.length} programs have`;
    log.error(`worker ${worker.pid} ${why}: ${lost} lost the client`);
    this.#repairListener();
    this.#restart(worker.slot);
  }

  /** Nobody is left who needs this process. */
  #settle(): void {
    if (!this.#draining || (this.#ending && !this.#over)) return;
    const done = ({ state, left }: Worker): boolean =>
      state === "settled" || (left && (this.#ending || !this.#patient));
    if ([...this.#workers.values()].every(done)) this.#closed.resolve();
  }

  /** One request. Throws `DecodeError` for what must not be: the worker ends. */
  #receive(worker: Worker, message: WorkerMessage): void {
    if (!PERMITTED[message.kind].includes(worker.state)) {
      throw new DecodeError(`privsep: kind: no request ${message.kind} while ${worker.state}`);
    }
    switch (message.kind) {
      case KIND.RESOLVED:
        return this.#answerResolved(worker, message.ip);
      case KIND.READY:
        return this.#answerReady(worker);
      case KIND.SERVING:
        return this.#answerServing(worker);
      case KIND.FATAL:
        return this.#answerFatal(worker, message);
      case KIND.START:
        return this.#starts.request(worker, message);
      case KIND.CANCEL:
        return worker.waiting.get(message.id)?.abort("cancelled");
      case KIND.KILL:
        worker.programs.get(message.id)?.kill(message.signal);
        return;
      case KIND.TAKE:
        return this.#answerTake(worker, message);
      case KIND.CHECK:
        return this.#answerCheck(worker, message);
      case KIND.RELEASE:
        worker.hold(message.id).release();
        worker.holds.delete(message.id);
        return;
      case KIND.WANT:
        return this.#grants.want(worker);
      case KIND.RETURN:
        return this.#grants.takeBack(worker, message.count);
      case KIND.PLACED:
      case KIND.COUNTS:
      case KIND.SCRAPE:
        if (!this.#metrics) throw new DecodeError("privsep: counts: nobody counts at byte 0");
        return this.#metrics.receive(worker, message);
      case KIND.LOST:
        worker.lacksFiles = true;
        return;
      case KIND.LEFT:
        worker.left = true;
        return this.#settle();
      case KIND.SETTLED:
        if (!worker.left) throw new DecodeError("privsep: settled: still listening at byte 0");
        worker.state = "settled";
        return this.#settle();
    }
  }

  #answerResolved(worker: Worker, ip: string): void {
    if (!this.o.init.resolve || worker.listening) {
      throw new DecodeError("privsep: address: nobody asked for it at byte 0");
    }
    parseIp(ip);
    try {
      if (this.#listenFd === undefined) this.#listen(ip);
    } catch (error) {
      this.#starting?.failed(error as Error);
    }
  }

  #answerReady(worker: Worker): void {
    if (this.#listenFd === undefined || worker.listening) {
      throw new DecodeError("privsep: ready: too early, or again at byte 0");
    }
    worker.listening = true;
    worker.channel.send(new Frame(KIND.LISTEN).done(), [this.o.libc.dup(this.#listenFd)]);
  }

  #answerServing(worker: Worker): void {
    if (!worker.listening) throw new DecodeError("privsep: serving: without a socket at byte 0");
    worker.serves();
    this.#unservedSince = undefined;
    this.#grants.begin(worker);
    this.#backoffs[worker.slot]?.began();
    this.#starting?.ready();
  }

  #answerFatal(worker: Worker, { code, message, hint }: WorkerMessage & { kind: 2 }): void {
    worker.fatal = code === EXIT.usage
      ? new UsageError(message, hint || undefined)
      : new FatalError(message, code, hint || undefined);
  }

  #answerTake(worker: Worker, { id, address, ask }: WorkerMessage & { kind: 7 }): void {
    const { concurrency, pending } = this.o.options;
    worker.countHold(id, worker.holds.size < 4 * (concurrency + pending) + MORE_HOLDS);
    const taken = this.#limits.take(address, ask);
    if ("release" in taken) worker.holds.set(id, { hold: taken, checks: 0 });
    if (asksAnything(ask)) this.#verdict(worker, id, "release" in taken ? undefined : taken);
    else if (!("release" in taken)) throw new Error("refused without a limit");
  }

  #answerCheck(worker: Worker, { id, ask }: WorkerMessage & { kind: 8 }): void {
    this.#verdict(worker, id, worker.holdToCheck(id).check(ask));
  }

  #verdict(
    worker: Worker,
    id: number,
    refusal: { by: typeof REFUSALS[number]; count: number } | undefined,
  ): void {
    const by = refusal ? REFUSALS.indexOf(refusal.by) + 1 : 0;
    worker.channel.send(
      new Frame(KIND.VERDICT).id(id).u8(by).u32(refusal?.count ?? 0).done(),
    );
  }

  #handOver(opened: readonly Opened[]): void {
    const { rules, earlyRules } = this.o.options;
    if (opened.some(({ file: { path } }) => path === rules || path === earlyRules)) {
      this.#rules.renew();
    }
    this.#sendFiles([...this.#workers.values()], opened);
  }

  /** To workers that had no room for what they were sent. */
  #handOverAgain(): void {
    const lacking = [...this.#serving()].filter((worker) => worker.lacksFiles);
    if (lacking.length === 0) return;
    for (const worker of lacking) worker.lacksFiles = false;
    this.#sendFiles(lacking, this.#files.again());
  }

  #sendFiles(workers: readonly Worker[], opened: Iterable<Opened>): void {
    const { libc } = this.o;
    const send = (batch: readonly Opened[]): void => {
      const fds = batch.flatMap(({ fd }) => fd === undefined ? [] : [fd]);
      try {
        const list = batch.map(({ file, fd }) => ({ ...file, open: fd !== undefined }));
        const text = new TextEncoder().encode(JSON.stringify(list));
        const frame = new Frame(KIND.FILES).bytes(text).done();
        for (const worker of workers) worker.channel.send(frame, copies(libc, fds));
      } finally {
        closeAll(libc, fds);
      }
    };
    let batch: Opened[] = [];
    for (const one of opened) {
      batch.push(one);
      if (batch.length < BATCH) continue;
      send(batch);
      batch = [];
    }
    if (batch.length > 0) send(batch);
  }
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

function asksAnything({ perAddress, rate, network }: WireAsk): boolean {
  return perAddress > 0 || rate.count > 0 || network.count > 0;
}
