/** The monitor's part in --metrics: the listening socket, or the path of one, which must outlive a
 *  worker and be free when the server ends; and the sums (gathering.ts). The monitor reads nothing
 *  from a scraper: one worker accepts and answers. */

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

/** The index of the worker that answers scrapers. */
const ANSWERING = 0;

/** What this file needs of a worker. */
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

/** The monitor's side of --metrics. */
export class MonitorMetrics<W extends MetricsWorker> {
  readonly #gathering: Gathering<W>;
  readonly #started = processStart();
  /** The listening socket, if --metrics has an address. */
  #socket: number | undefined;
  /** The socket's file, if --metrics has a path. The worker makes it while it has the privileges
   *  for that. */
  #file: SocketFile | undefined;
  #open = true;

  constructor(readonly o: MonitorMetricsOptions<W>) {
    this.#gathering = new Gathering({
      kinds: countKinds(),
      serving: o.serving,
      programs: o.programs,
    });
  }

  /** Listens if --metrics has an address. Socket and port stay the same when workers die, and
   *  clients wait meanwhile. Throws `FatalError`. */
  listen(): void {
    this.#socket = metricsSocket(this.o.libc, this.o.address);
  }

  /** A worker has been started. Called before INIT is sent. */
  introduce(worker: W): void {
    if (worker.index !== ANSWERING) return;
    const socket = this.#socket;
    const introduction = { started: this.#started, socket: socket !== undefined };
    const fds = socket === undefined ? [] : [this.o.libc.dup(socket)];
    worker.channel.send({ kind: "METRICS", introduction }, fds);
  }

  /** Answers PLACED. Throws `DecodeError`, as the other handlers do. */
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

  /** Frees the address or path at once, for a successor. The worker may be in a chroot, or may lack
   *  the right to remove the file. */
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

/** Throws `DecodeError` if the worker is not the one that answers scrapers. */
function mustAnswer({ index }: MetricsWorker): void {
  if (index !== ANSWERING) {
    throw new DecodeError(`privsep: index:${index} does not answer at byte 0`);
  }
}
