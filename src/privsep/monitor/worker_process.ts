/** Starts the process of a worker. A new process waits for its first message, and has no data or
 *  sockets of the server until then. So the first processes start early, while the monitor checks
 *  its configuration. */

import type { Options } from "../../config/options.ts";
import { EXIT, FatalError, reason } from "../../errors.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { closeAll } from "../../runtime/program_pipes.ts";
import type { Launched, Runtime, SelfCommand } from "../../runtime/runtime.ts";
import { WORKER_COMMAND } from "../commands.ts";
import { confinedByExec, fileAccess } from "../file_access.ts";
import { openNull } from "../null_device.ts";
import type { ProcessPlan } from "../process_plan.ts";

/** The process name of a worker. */
const NAME = "sslserver";

/** A worker's process and this side's ends of the sockets to it. */
export interface WorkerProcess {
  readonly process: Launched;
  readonly control: number;
  readonly pass: number;
  /** Reads what the worker writes to its descriptor 2. */
  readonly log: number;
  /** Ends the process, and closes `control` and `pass`. */
  end(): void;
}

/** Starts processes of workers. */
export class WorkerProcesses {
  readonly #command: readonly string[];

  constructor(
    readonly runtime: Runtime,
    readonly libc: Libc,
    readonly self: SelfCommand,
    options: Options,
  ) {
    const confined = confinedByExec(libc, fileAccess(options));
    const { command, confine } = self;
    const worker = ["--as", WORKER_COMMAND];
    this.#command = confined
      ? [...confine, NAME, ...command.slice(1), ...worker]
      : [...command, ...worker];
  }

  /** Starts a process. Its descriptors 0 and 1 are /dev/null, 2 is its log, and 3 and 4 are the
   *  sockets to the monitor. */
  start(): WorkerProcess {
    const { libc } = this;
    const ours: number[] = [];
    const theirs: number[] = [];
    try {
      for (let i = 0; i < 3; i++) {
        const [mine, other] = libc.socketpair("stream");
        ours.push(mine);
        theirs.push(other);
        libc.refuseDescriptors(mine);
      }
      const [control, pass, log] = ours as [number, number, number];
      const [theirControl, theirPass, theirLog] = theirs as [number, number, number];
      for (const fd of [log, theirLog]) libc.setNonBlocking(fd, true);
      const nowhere = openNull(libc);
      theirs.push(nowhere);
      const process = this.runtime.launch({
        command: this.#command,
        argv0: NAME,
        env: this.self.env,
        descriptors: [nowhere, nowhere, theirLog, theirControl, theirPass],
        // SIGUSR1 opens Deno's debugger until the worker has shut it: see `debuggerShut`.
        blocked: "SIGUSR1",
      });
      const end = (): void => {
        process.kill("SIGKILL");
        closeAll(libc, [control, pass]);
      };
      return { process, control, pass, log, end };
    } catch (error) {
      closeAll(libc, ours);
      throw error;
    } finally {
      closeAll(libc, theirs);
    }
  }
}

/** The processes of the first workers. */
export class EarlyProcesses {
  readonly #waiting: WorkerProcess[] = [];

  constructor(readonly processes: WorkerProcesses) {}

  /** Starts `plan.workers` processes, with the limits and rights that they and programs get. Throws
   *  `FatalError`. */
  static start(plan: ProcessPlan, runtime: Runtime, options: Options): EarlyProcesses {
    const { libc, self } = plan;
    libc.raiseFileLimit();
    libc.clearAmbient(); // the monitor keeps its other sets, to listen
    const early = new EarlyProcesses(new WorkerProcesses(runtime, libc, self, options));
    try {
      for (let i = 0; i < plan.workers; i++) early.#waiting.push(early.processes.start());
      return early;
    } catch (error) {
      early.end();
      throw workerStartError(reason(error));
    }
  }

  /** Returns a process that waits, or starts one. */
  next(): WorkerProcess {
    return this.#waiting.shift() ?? this.processes.start();
  }

  /** Ends the processes that still wait. */
  end(): void {
    for (const process of this.#waiting.splice(0)) process.end();
  }
}

/** Returns the error for a worker that does not begin to serve. */
export function workerStartError(why: string): FatalError {
  return new FatalError(
    `unable to start a worker: ${why}`,
    EXIT.system,
    "check the limits on processes (ulimit -u, pids.max), open files (ulimit -n) and memory",
  );
}
