/** The monitor: the process with the privileges. It starts and reaps programs, counts connections,
 *  hands files over and replaces workers that die. No byte from the network reaches it.
 *
 *  workers.ts starts and replaces workers, requests.ts answers their requests, and departure.ts
 *  decides when this process is not needed any more. */

import { programRoom } from "../../accept/descriptors.ts";
import { FatalError, reason } from "../../errors.ts";
import { Slots } from "../../program/slots.ts";
import { startFailure } from "../../reason.ts";
import { LEFT_STATES } from "../worker_states.ts";
import { AccessRequests } from "./access_requests.ts";
import { ConnectionCounts } from "./connection_counts.ts";
import { Departure, type PhaseEvent } from "./departure.ts";
import { FileWatcher, wantedFiles } from "./file_watcher.ts";
import { Grants } from "./grants.ts";
import { HandOver } from "./hand_over.ts";
import { MonitorMetrics } from "./metrics.ts";
import type { MonitorOptions } from "./options.ts";
import { Port } from "./port.ts";
import { ProgramStarts } from "./program_starts.ts";
import { Requests } from "./requests.ts";
import { RulesHistory } from "./rules_history.ts";
import type { Worker } from "./worker_handle.ts";
import { WorkerLogs } from "./worker_log.ts";
import { Workers } from "./workers.ts";

/** Milliseconds between two checks of the files: a renewed certificate is served within two
 *  seconds. */
const CHECK_INTERVAL = 1000;
/** How long connections without a program may delay the exit, in milliseconds. */
const SETTLE_TIMEOUT = 1000;
/** A worker that has not closed the port by then is stuck or compromised, and would keep a
 *  successor from listening. In milliseconds. */
const LEAVE_TIMEOUT = 10_000;
/** After `end`, how much longer than its programs a worker may take, in milliseconds. */
const WORKER_GRACE = 1000;
/** How long the exit waits for workers that are about to end, in milliseconds. */
const LAST_LINES_TIMEOUT = 100;

export class Monitor {
  readonly slots: Slots;
  readonly #workers: Workers;
  readonly #files: HandOver;
  readonly #port: Port;
  readonly #starts: ProgramStarts;
  readonly #logs: WorkerLogs;
  readonly #metrics: MonitorMetrics<Worker> | undefined;
  readonly #departure: Departure;
  #checkTimer: ReturnType<typeof setInterval> | undefined;

  constructor(readonly o: MonitorOptions) {
    const { options, env, libc, log } = o;
    const now = (): number => performance.now();
    const served = (): readonly Worker[] => this.#workers.served();
    const drained = (): void => this.#departure.check();
    this.slots = new Slots(Math.min(options.concurrency, this.#programRoom()));
    const { slots } = this;
    const grants = new Grants({ slots, options, workers: o.workers, serving: served });
    const logs = this.#logs = new WorkerLogs(libc, log);
    const watch = new FileWatcher(libc, wantedFiles(options, env));
    const rules = new RulesHistory({ libc, files: watch, options, now });
    const workers = (): readonly Worker[] => this.#workers.all();
    const files = this.#files = new HandOver({ libc, log, files: watch, rules, workers });
    const port = this.#port = new Port({
      libc,
      listen: o.listen,
      inherited: o.inherited === true,
      backlog: options.backlog,
    });
    const access = new AccessRequests(o.access, options);
    const starts = this.#starts = new ProgramStarts({ ...o, slots, grants, rules, access });
    const metrics = this.#metrics = options.metrics && new MonitorMetrics({
      address: options.metrics,
      libc,
      log,
      serving: () => workers().filter(({ state }) => state === "serving"),
      programs: () => slots.running,
    });
    const requests = new Requests({
      log,
      port,
      files,
      starts,
      counts: new ConnectionCounts(options, now),
      access,
      grants,
      metrics,
      named: o.init.resolve ? options.host : undefined,
      failed: (error) => this.#workers.failStart(error),
      serves: (worker) => this.#workers.serves(worker),
      drained,
    });
    this.#workers = new Workers({
      monitor: o,
      logs,
      port,
      files,
      grants,
      metrics,
      receive: (worker, message) => requests.receive(worker, message),
      lost: () => this.#repairPort(),
      drained,
      failed: (error) => {
        void this.abandon();
        this.#departure.fail(error);
      },
    });
    this.#departure = new Departure(port, workers);
  }

  /** Returns how many programs there is room for. A program that the runtime starts as another user
   *  needs a descriptor here while it runs. */
  #programRoom(): number {
    const { options: { uid, gid, handler }, runtime, libc, workers } = this.o;
    const costs = !handler && runtime.switchesUser && (uid !== undefined || gid !== undefined);
    return costs
      ? programRoom(libc.raiseFileLimit().soft, libc.openDescriptors(), workers)
      : Infinity;
  }

  /** True once the server has been told to stop. */
  get draining(): boolean {
    return this.#departure.phase !== "serving";
  }

  /** Resolves after `drain`, when this process is not needed any more. Rejects with `FatalError` if
   *  no worker could be started for a minute. */
  get closed(): Promise<void> {
    return this.#departure.closed;
  }

  /** Starts the workers. Resolves when all of them serve. Rejects with the `FatalError` of the
   *  first worker that cannot start. */
  async start(): Promise<void> {
    if (!this.o.init.resolve) this.#port.listen();
    this.#metrics?.listen();
    await this.#workers.start();
    this.#checkTimer = setInterval(() => {
      this.#repairPort();
      this.#files.handChanged();
      this.#files.handLost();
    }, CHECK_INTERVAL);
  }

  /** SIGHUP. */
  reload(): void {
    // Sent before the files: a worker then reads each file once, and logs its faults once.
    for (const worker of this.#workers.served()) worker.channel.send({ kind: "RELOAD" });
    this.#files.reload();
    this.o.access?.expire();
  }

  /** Sends a signal to every program. */
  signalPrograms(signal: "SIGTERM" | "SIGKILL"): void {
    for (const { programs } of this.#workers.all()) {
      for (const program of programs.values()) program.kill(signal);
    }
  }

  /** Frees the port. Workers finish their connections without this process. */
  drain(): void {
    if (this.draining) return;
    this.#departure.happens("drain");
    this.#stop();
  }

  /** SIGQUIT, or a second SIGTERM before this process has exited: ends workers and programs. */
  end(grace: number): void {
    const { draining } = this;
    this.#departure.happens("end");
    this.#starts.over = true;
    if (!draining) this.#stop();
    const workers = this.#workers.all();
    const programs = workers.flatMap((worker) => [...worker.programs.values()]);
    for (const worker of workers) {
      for (const cancel of worker.waiting.values()) {
        cancel.abort(startFailure("the server is shutting down"));
      }
      worker.channel.send({ kind: "END" });
    }
    for (const program of programs) program.kill("SIGTERM");
    setTimeout(() => {
      for (const program of programs) program.kill("SIGKILL");
      this.#dropStuck();
    }, grace);
    // By then a worker has been told that its programs have ended.
    setTimeout(() => {
      for (const worker of this.#workers.all()) worker.giveUp("it did not end");
    }, grace + WORKER_GRACE).unref();
    Promise.all(programs.map(({ exited }) => exited)).then(() =>
      this.#departureEvent("programs over")
    );
  }

  /** The last step before the exit: another process takes over the log of workers that stay. */
  async leave(): Promise<void> {
    const { runtime, self, identity, log } = this.o;
    // Without clients the workers end at once, and need no log copier.
    if (this.slots.running === 0) await this.#logs.ended(LAST_LINES_TIMEOUT);
    await log.finish();
    this.#logs.handOver(runtime, self, identity);
  }

  /** Ends at once, after a start that failed. */
  async abandon(): Promise<void> {
    this.#departure.happens("abandon");
    this.#metrics?.close();
    clearInterval(this.#checkTimer);
    this.#workers.kill();
    this.#port.close();
    await this.#logs.ended(LAST_LINES_TIMEOUT);
  }

  #stop(): void {
    this.#metrics?.close();
    clearInterval(this.#checkTimer);
    this.#port.drain();
    this.#workers.drain();
    setTimeout(() => this.#departureEvent("late"), SETTLE_TIMEOUT);
    setTimeout(() => this.#dropStuck(), this.o.timeouts?.leave ?? LEAVE_TIMEOUT).unref();
    this.#departure.check();
  }

  #departureEvent(event: PhaseEvent): void {
    this.#departure.happens(event);
    this.#departure.check();
  }

  /** Repairs the listening socket, which all workers share: a compromised worker can shut it
   *  down. */
  #repairPort(): void {
    try {
      if (!this.#port.repair()) return;
      this.o.log.error("a worker shut down the listening socket: it listens again");
    } catch (error) {
      const hint = "restart the server, and find out why a worker shut down the listening socket";
      this.#departure.fail(
        new FatalError(`unable to listen again: ${reason(error)}`, undefined, hint),
      );
    }
  }

  #dropStuck(): void {
    for (const worker of this.#workers.all()) {
      if (!LEFT_STATES.includes(worker.state)) {
        worker.giveUp("it did not close the listening socket");
      }
    }
  }
}
