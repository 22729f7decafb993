/** A worker: it gets everything from its monitor, gives up its privileges, and serves. It speaks to
 *  the network, so the monitor does not trust it. Without its monitor it serves no new client. */

import fs from "node:fs";
import { literalHost } from "../../accept/address.ts";
import { namedAddress } from "../../accept/host.ts";
import { canLimit } from "../../admit/limits.ts";
import { assemble, type Assembled, type Overrides } from "../../assemble.ts";
import { warnOfServed } from "../../check/served.ts";
import { hasRules, type Options } from "../../config/options.ts";
import { EXIT, FatalError, reason } from "../../errors.ts";
import { loadHandler } from "../../handlers/load.ts";
import { endAfter, GRACE, type Server } from "../../lifecycle.ts";
import { Log } from "../../log.ts";
import { logInternalErrors } from "../../log/internal_errors.ts";
import { isStreamSocket } from "../../runtime/libc/inherited.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { LostDescriptors } from "../../runtime/libc/pass.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { serveConnections } from "../../serve.ts";
import type { Services } from "../../services.ts";
import { VERSION } from "../../version.ts";
import { Channel, type ToMonitor } from "../channel.ts";
import type { Introduction } from "../counts.ts";
import { drop } from "../drop.ts";
import { fileAccess } from "../file_access.ts";
import { HandedFiles } from "../handed_files.ts";
import { type Init, unpackInit, versionOf } from "../init.ts";
import { FROM_MONITOR, FROM_WORKER } from "../message_codec.ts";
import type { Handlers, MonitorMessage } from "../messages.ts";
import { sandbox } from "../sandbox.ts";
import { startsAhead } from "./ahead_pipes.ts";
import { FileUpdates } from "./file_updates.ts";
import { WorkerMetrics } from "./metrics.ts";
import { RemoteAccess } from "./remote_access.ts";
import { RemoteLimiter } from "./remote_limiter.ts";
import { RemotePrograms } from "./remote_programs.ts";
import { type StopEvent, STOPS, type WorkerStage } from "./stopping.ts";

/** The worker's ends of the sockets to the monitor (worker_handle.ts). */
const CONTROL = 3;
const PASS = 4;

/** Runs as a worker until its last connection has ended. Returns the exit code; never rejects. */
export async function worker(runtime: Runtime): Promise<number> {
  const { libc } = runtime;
  if (!libc || !isStreamSocket(libc, CONTROL) || !isStreamSocket(libc, PASS)) {
    fs.writeSync(
      2,
      "sslserver-worker: fatal: unable to serve: only sslserver may start this process\n",
    );
    return EXIT.usage;
  }
  if (libc.confines) libc.prctlName("sslserver"); // the kernel would call it exe, after the path
  libc.setCloseOnExec(CONTROL, true);
  libc.setCloseOnExec(PASS, true);
  const control = await runtime.adoptSocket(CONTROL);
  const channel = new Channel(libc, control, PASS, FROM_WORKER, FROM_MONITOR);
  return await new WorkerProcess(runtime, libc, channel).run();
}

/** Where modules are files, an upgrade may have replaced them while the old monitor runs. */
function otherVersion(monitor: string | undefined): FatalError {
  return new FatalError(
    `unable to serve: sslserver ${VERSION} is installed, but ${monitor ?? "another version"} runs`,
    undefined,
    "restart the server",
  );
}

class WorkerProcess {
  readonly #programs: RemotePrograms;
  readonly #limiter: RemoteLimiter;
  readonly #access: RemoteAccess;
  readonly #files: FileUpdates;
  readonly #initialized = Promise.withResolvers<unknown>();
  readonly #listening = Promise.withResolvers<number>();
  #assembled: Assembled | undefined;
  #introduction: Introduction | undefined;
  #metricsSocket: number | undefined;
  #metrics: WorkerMetrics | undefined;
  #server: Server | undefined;
  #releaseCode = (): void => {};
  #stage: WorkerStage = "starting";
  /** This process asks for no more programs. */
  #settled = false;
  /** True if the listening socket belongs to a supervisor, which keeps its queue for a
   *  successor. */
  #inherited = false;

  constructor(readonly runtime: Runtime, readonly libc: Libc, readonly channel: ToMonitor) {
    this.#programs = new RemotePrograms(runtime, channel);
    this.#limiter = new RemoteLimiter(channel);
    this.#access = new RemoteAccess(channel);
    this.#files = new FileUpdates(new HandedFiles(libc), channel, (count) => this.#take(count));
    this.#listening.promise.catch(() => {}); // awaited after all is prepared
    channel.take({ message: (one) => this.#receive(one), broken: () => this.#orphaned() });
    runtime.onSignal("SIGTERM", () => this.#stop("SIGTERM"));
    // A terminal sends these to every process of the server, so only the monitor's message counts.
    for (const name of ["SIGINT", "SIGQUIT", "SIGHUP"] as const) runtime.onSignal(name, () => {});
    runtime.ignoreSignals();
  }

  async run(): Promise<number> {
    this.channel.begin();
    let log: Log | undefined;
    try {
      const packed = await this.#initialized.promise;
      const version = versionOf(packed);
      if (version !== VERSION) throw otherVersion(version);
      const init = unpackInit(packed);
      this.#inherited = init.inherited;
      const { verbosity, log: form, name } = init.options;
      log = new Log({ verbosity, form, name, sink: this.runtime.stderr() });
      await this.#prepare(init, log);
      this.runtime.debuggerShut(); // never false: without libc there are no workers
    } catch (error) {
      await log?.finish(); // before the monitor exits
      this.#fatal(error);
      return EXIT.system;
    }
    logInternalErrors(log);
    this.#files.reportGood();
    this.channel.send({ kind: "READY" });
    const fd = await this.#listening.promise.catch(() => undefined);
    if (fd === undefined) return EXIT.system; // the monitor has gone
    this.#files.refreshNow();
    const { services, close } = this.#assembled as Assembled;
    const { backlog } = services.options;
    const server = this.#server = serveConnections(
      (...callbacks) => this.runtime.listenDescriptor(fd, backlog, ...callbacks),
      services,
    );
    this.#stage = "serving";
    this.channel.send({ kind: "SERVING" });
    if (startsAhead(services.options, this.libc)) this.#programs.prepare();
    this.#releaseCode();
    this.#metrics?.begin();
    server.left.then(() => this.channel.send({ kind: "LEFT" }));
    server.settled.then(() => {
      this.#settled = true;
      this.channel.send({ kind: "SETTLED" });
    });
    await server.closed;
    close();
    await log.finish();
    return EXIT.ok;
  }

  /** Does everything that needs privileges, then gives them up. Throws `FatalError`. */
  async #prepare(init: Init, log: Log): Promise<void> {
    const { options, env, identity, logsForAll, again, resolve, workers, password, keyPair } = init;
    // What was logged at the first start need not be logged again.
    const muted = (): boolean => !logsForAll || (again && !this.#server);
    const { handler, folder } = await loadHandler(options, this.runtime);
    const overrides: Overrides = {
      password,
      keyPair,
      files: this.#files.files,
      programs: this.#programs,
      handler,
      access: this.#access.looks,
      pending: share(init),
      announce: log.mutedBy(muted),
      ahead: startsAhead(options, this.libc),
      ...(workers > 1 && canLimit(options, env) ? { limiter: this.#limiter } : {}),
    };
    const assembled = await assemble(options, env, this.runtime, log, overrides);
    this.#assembled = this.#files.server = assembled;
    warnOfServed(assembled, overrides.announce ?? log);
    await this.#prepareMetrics(assembled.services, init);
    const confined = this.libc.landlocked(); // before chroot, which may lack /dev
    this.#releaseCode = this.libc.codePages(); // it may lack /proc, too
    drop(this.libc, identity);
    this.#confine(options, { confined, folder }, overrides.announce as Log);
    if (!resolve || literalHost(options.host)) return;
    // The monitor has the port: a service name needs /etc/services, which is outside the chroot.
    const ip = await namedAddress(options, assembled.services.admission.resolver);
    this.channel.send({ kind: "RESOLVED", ip });
  }

  /** The last step: nothing that the sandbox forbids is done later. Only rules can name more
   *  files. */
  #confine(
    options: Options,
    { confined, folder }: { confined: boolean; folder: number | undefined },
    log: Log,
  ): void {
    const pairs = options.trace !== "nothing";
    const readBelow = [
      ...(hasRules(options) ? ["/"] : []),
      ...(folder === undefined ? [] : [folder]),
    ];
    const beneath = folder !== undefined;
    const files = fileAccess(options);
    const { off } = sandbox(this.libc, { files, readBelow, beneath, confined, pairs });
    for (const what of off) log.warning(`sandbox: ${what}`);
  }

  /** --metrics. */
  async #prepareMetrics(services: Services, { workers, again }: Init): Promise<void> {
    const { metrics: { registry } } = services;
    if (!registry) return;
    const introduction = this.#introduction;
    this.#metrics = new WorkerMetrics({
      services,
      registry,
      send: (message) => this.channel.send(message),
      workers,
      again,
      introduction,
    });
    if (introduction) await this.#metrics.listen(this.#metricsSocket);
  }

  readonly #handlers: Handlers<"monitor"> = {
    INIT: ({ init }) => this.#initialized.resolve(init),
    FILES: ({ files }) => this.#files.handed(files),
    KEPT: (message) => this.#files.kept(message),
    LISTEN: () => {
      const fd = this.#take(1)?.[0];
      if (fd !== undefined) this.#listening.resolve(fd);
    },
    STARTED: (message) => this.#programs.started(message),
    REFUSED: (message) => this.#programs.refused(message),
    EXITED: (message) => this.#programs.exited(message),
    PIPES: (message) => this.#programs.prepared(message),
    RUNS: (message) => this.#programs.runs(message),
    SLOTS: (message) => this.#programs.slots(message),
    VERDICT: (message) => this.#limiter.verdict(message),
    RULED: (message) => this.#access.ruled(message),
    RELOAD: () => this.#files.reload(),
    DRAIN: () => this.#stop("DRAIN"),
    GATHER: (message) => this.#metrics?.gather(message),
    METRICS: ({ introduction }) => {
      this.#introduction = introduction;
      if (introduction.socket) this.#metricsSocket = this.#take(1)?.[0];
    },
    TOTALS: (message) => this.#metrics?.total(message),
    END: () => this.#stop("END"),
  };

  #receive(message: MonitorMessage): void {
    (this.#handlers[message.kind] as (message: MonitorMessage) => void)(message);
  }

  /** Takes descriptors that the monitor has sent; undefined: they were lost. A worker cannot serve
   *  without those of its start. Later ones are asked for again. */
  #take(count: number): number[] | undefined {
    try {
      return this.channel.descriptors(count);
    } catch (error) {
      if (!(error instanceof LostDescriptors)) throw error;
      if (this.#server) this.#files.lost(error);
      else if (this.#assembled) this.#fatal(error);
      this.#giveUp(error);
      return undefined;
    }
  }

  #stop(event: StopEvent): void {
    switch (STOPS[this.#stage][event]) {
      case "nothing":
        return;
      case "give up":
        return this.#giveUp(new Error("told to stop"));
      case "drain":
        return this.#drain();
      case "drain at once":
        return this.#drain(0);
      case "end":
        this.#drain(0);
        this.#stage = "ending";
        return this.#server?.end(GRACE);
    }
  }

  #drain(patience?: number): void {
    this.#stage = "draining";
    this.#metrics?.close();
    this.#server?.drain(patience, !this.#inherited);
    endAfter(this.#assembled?.services.options.drainTimeout, () => this.#stop("late"));
  }

  /** The monitor has gone. During a drain that is normal; otherwise connections without a program
   *  are closed. */
  #orphaned(): void {
    this.#programs.orphan(this.#settled);
    this.#limiter.orphan();
    this.#access.orphan();
    this.#stop("orphaned");
  }

  /** Ends the worker before it has served. */
  #giveUp(error: Error): void {
    this.#initialized.reject(error);
    this.#listening.reject(error);
  }

  #fatal(error: unknown): void {
    const { code, hint } = error instanceof FatalError
      ? error
      : { code: EXIT.system, hint: undefined };
    const message = error instanceof FatalError
      ? error.message
      : `unable to continue: ${reason(error)}`;
    this.channel.send({ kind: "FATAL", code, message, hint: hint ?? "" });
  }
}

/** Returns this worker's part of --pending. */
function share({ options: { pending }, workers, index }: Init): number {
  return Math.max(1, Math.floor((pending + workers - 1 - index) / workers));
}
