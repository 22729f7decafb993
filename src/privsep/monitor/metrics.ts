/** The monitor's part in --metrics: the place where they are fetched, which must outlive a worker and
 *  be free when the server ends, and the sums (gathering.ts). It reads nothing from a scraper: one
 *  worker accepts and answers. */

import { DecodeError } from "../../codec/bytes.ts";
import { reason } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { MetricsAddress } from "../../config/metrics_address.ts";
import { countKinds, processStart } from "../../metrics/describe.ts";
import { metricsSocket } from "../../metrics/endpoint.ts";
import { SocketFile } from "../../metrics/socket_file.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import type { ToWorker } from "../channel.ts";
import type { WorkerEnd } from "../counts.ts";
import type { MessageOf } from "../messages.ts";
import { Gathering } from "./gathering.ts";

/** The worker that answers. */
const ANSWERING = 0;

/** A worker, as far as it is of interest here. */
interface MetricsWorker {
  readonly index: number;
  readonly channel: Pick<ToWorker, "send">;
}

export interface MonitorMetricsOptions<W> {
  readonly address: MetricsAddress;
  readonly libc: Libc;
  readonly log: Log;
  /** The workers that serve now. */
  readonly serving: () => Iterable<W>;
  /** Programs that run. */
  readonly programs: () => number;
}

/** What the monitor asks for when --metrics is given. */
export class MonitorMetrics<W extends MetricsWorker> {
  readonly #gathering: Gathering<W>;
  readonly #started = processStart();
  /** Of an address. */
  #socket: number | undefined;
  /** Of a path: the worker makes it, before it gives up the rights that this may take. */
  #file: SocketFile | undefined;
  #open = true;

  constructor(readonly o: MonitorMetricsOptions<W>) {
    this.#gathering = new Gathering({
      kinds: countKinds(),
      serving: o.serving,
      programs: o.programs,
    });
  }

  /** Listens, if it is an address: it and its port stay the same whatever becomes of workers, and who
   *  comes meanwhile waits. Throws `FatalError`. */
  listen(): void {
    this.#socket = metricsSocket(this.o.libc, this.o.address);
  }

  /** A worker has been started: before INIT. */
  introduce(worker: W): void {
    if (worker.index !== ANSWERING) return;
    const socket = this.#socket;
    const introduction = { started: this.#started, socket: socket !== undefined };
    const fds = socket === undefined ? [] : [this.o.libc.dup(socket)];
    worker.channel.send({ kind: "METRICS", introduction }, fds);
  }

  /** Answers PLACED. Throws `DecodeError`, as the others do. */
  placed(worker: W): void {
    mustAnswer(worker);
    const { address } = this.o;
    if (this.#open) this.#file = "path" in address ? SocketFile.at(address.path) : undefined;
  }

  /** Answers COUNTS. */
  take(worker: W, { id, counts }: MessageOf<"COUNTS">): void {
    if (this.#open) this.#gathering.take(worker, id, counts);
  }

  /** Answers SCRAPE. */
  scrape(worker: W, { id, counts }: MessageOf<"SCRAPE">): void {
    mustAnswer(worker);
    if (this.#open) this.#gathering.scrape(worker, id, counts);
  }

  /** A worker's process has ended. */
  gone(worker: W, end: WorkerEnd): void {
    this.#gathering.gone(worker, end);
  }

  /** Frees the place at once, for a successor. The worker may be jailed, or somebody who may not
   *  remove the file. */
  close(): void {
    this.#open = false;
    this.#gathering.stop();
    if (this.#socket !== undefined) this.o.libc.close(this.#socket);
    this.#socket = undefined;
    try {
      this.#file?.remove();
    } catch (error) {
      this.o.log.error(`unable to remove the socket of --metrics: ${reason(error)}`);
    }
    this.#file = undefined;
  }
}

/** Throws `DecodeError` for a worker that is not the one that answers scrapers. */
function mustAnswer({ index }: MetricsWorker): void {
  if (index !== ANSWERING) {
    throw new DecodeError(`privsep: index:${index} does not answer at byte 0`);
  }
}
