/** What the monitor does for its workers: one handler for each request (messages.ts).
 *
 *  One rule for errors: a message that is malformed or not permitted (`DecodeError`) ends the
 *  worker that sent it. A system call that the monitor makes for a worker can fail. Then only that
 *  request fails, or only the worker that cannot start. */

import { checkNamed } from "../../accept/address.ts";
import { DecodeError } from "../../codec/bytes.ts";
import { EXIT, FatalError, reason, UsageError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { startFailure } from "../../reason.ts";
import { type Handlers, stateAfter, type WorkerMessage } from "../messages.ts";
import type { AccessRequests } from "./access_requests.ts";
import type { ConnectionCounts } from "./connection_counts.ts";
import type { Grants } from "./grants.ts";
import type { HandOver } from "./hand_over.ts";
import type { MonitorMetrics } from "./metrics.ts";
import type { Port } from "./port.ts";
import type { ProgramStarts } from "./program_starts.ts";
import type { Worker } from "./worker_handle.ts";
import { workerStartError } from "./worker_process.ts";

export interface RequestsOptions {
  readonly log: Log;
  readonly port: Port;
  readonly files: HandOver;
  readonly starts: ProgramStarts;
  readonly counts: ConnectionCounts;
  readonly access: AccessRequests;
  readonly grants: Grants;
  /** With --metrics. */
  readonly metrics: MonitorMetrics<Worker> | undefined;
  /** The host, if it is a name that the worker looks up. */
  readonly named: string | undefined;
  /** The monitor cannot listen. */
  readonly failed: (error: Error) => void;
  readonly serves: (worker: Worker) => void;
  /** A worker has left the port, or settled. */
  readonly drained: () => void;
}

export class Requests {
  readonly #handlers: Handlers<"worker", [Worker]>;

  constructor(readonly o: RequestsOptions) {
    const { files, starts, counts, grants, access } = o;
    this.#handlers = {
      RESOLVED: ({ ip }) => this.#resolved(ip),
      READY: (_, worker) => this.#ready(worker),
      SERVING: (_, worker) => o.serves(worker),
      FATAL({ code, message, hint }, worker) {
        worker.fatal = code === EXIT.usage
          ? new UsageError(message, hint || undefined)
          : new FatalError(message, code, hint || undefined);
      },
      START: (request, worker) => starts.request(worker, request),
      PREPARE: (_, worker) => starts.prepare(worker),
      RUN: (request, worker) => starts.run(worker, request),
      IDENTIFY: ({ id }, worker) => starts.identify(worker, id),
      CANCEL: ({ id }, worker) => worker.waiting.get(id)?.abort(startFailure("cancelled")),
      KILL: ({ id, signal }, worker) => starts.kill(worker, id, signal),
      TAKE: (request, worker) => counts.take(worker, request),
      CHECK: (request, worker) => counts.check(worker, request),
      RELEASE: (request, worker) => counts.release(worker, request),
      RULES: (request, worker) => access.request(worker, request),
      WANT: (_, worker) => grants.want(worker),
      RETURN: ({ count }, worker) => grants.takeBack(worker, count),
      PLACED: (_, worker) => this.#metrics.placed(worker),
      COUNTS: (message, worker) => this.#metrics.take(worker, message),
      SCRAPE: (message, worker) => this.#metrics.scrape(worker, message),
      LOST: (_, worker) => files.lost(worker),
      GOOD: ({ count }, worker) => files.good(worker, count),
      LEFT: () => o.drained(),
      SETTLED: () => o.drained(),
    };
  }

  /** Handles one request. Throws `DecodeError` for an invalid one, which ends the worker. */
  receive(worker: Worker, message: WorkerMessage): void {
    if (worker.state === "ended") return;
    worker.state = stateAfter(worker.state, message.kind);
    try {
      const handle = this.#handlers[message.kind] as (message: WorkerMessage, from: Worker) => void;
      handle(message, worker);
    } catch (error) {
      if (error instanceof DecodeError) throw error;
      this.o.log.error(`unable to answer worker ${worker.pid}: ${reason(error)}`);
    }
  }

  get #metrics(): MonitorMetrics<Worker> {
    const { metrics } = this.o;
    if (!metrics) throw new DecodeError("privsep: counts: there are no metrics at byte 0");
    return metrics;
  }

  #resolved(ip: string): void {
    const { named, port, failed } = this.o;
    if (named === undefined) {
      throw new DecodeError("privsep: address: not requested at byte 0");
    }
    try {
      checkNamed(named, ip);
    } catch (error) {
      throw new DecodeError(`privsep: address: ${reason(error)} at byte 0`);
    }
    try {
      port.listen(ip);
    } catch (error) {
      failed(error as Error);
    }
  }

  #ready(worker: Worker): void {
    const { port, files } = this.o;
    if (!port.open) throw new DecodeError("privsep: ready: before RESOLVED at byte 0");
    let copy: number;
    try {
      copy = port.copy();
    } catch (error) {
      worker.fatal = workerStartError(reason(error));
      return worker.kill();
    }
    files.catchUp(worker);
    worker.channel.send({ kind: "LISTEN" }, [copy]);
  }
}
