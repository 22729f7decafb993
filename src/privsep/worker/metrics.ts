/** A worker's part in --metrics: it reports its counts to the monitor. One worker also answers
 *  scrapers, with the sums that the monitor makes over all workers. */

import { reason } from "../../errors.ts";
import { describeServer, programsOnly } from "../../metrics/describe.ts";
import { type MetricsEndpoint, openEndpoint } from "../../metrics/endpoint.ts";
import { expose } from "../../metrics/exposition.ts";
import type { Registry } from "../../metrics/registry.ts";
import type { Services } from "../../services.ts";
import { type Introduction, type Totals, totalsOfOne, WORKER_ENDS } from "../counts.ts";
import type { MessageOf, WorkerMessage } from "../messages.ts";

/** Milliseconds between two reports to the monitor. What a worker counts after its last report is
 *  lost when it dies, unless a scraper has seen it. */
const PUSH = 2000;

export interface WorkerMetricsOptions {
  readonly services: Services;
  readonly registry: Registry;
  readonly send: (message: WorkerMessage) => void;
  /** How many workers there are. */
  readonly workers: number;
  /** True if this worker replaces one that has ended. */
  readonly again: boolean;
  /** For the worker that answers scrapers. */
  readonly introduction: Introduction | undefined;
  /** Instead of `PUSH`. */
  readonly push?: number;
}

export class WorkerMetrics {
  #totals: Totals;
  readonly #begun = Promise.withResolvers<void>();
  #endpoint: MetricsEndpoint | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The answer in preparation, and the one after it. */
  #now: Promise<string> | undefined;
  #next: Promise<string> | undefined;
  #lastId = 0;
  #asked: { resolve: (totals: Totals) => void; reject: (error: Error) => void } | undefined;

  constructor(readonly o: WorkerMetricsOptions) {
    const { registry, services, introduction } = o;
    this.#totals = totalsOfOne(registry.counts(), 0);
    this.#begun.promise.catch(() => {});
    if (!introduction) {
      describeServer(registry, services);
      return;
    }
    const { started } = introduction;
    describeServer(registry, services, { started, programs: () => this.#totals.programs });
    registry.gauge("sslserver_workers_running", "Workers running now.", () => this.#totals.workers);
    registry.sampled(
      "sslserver_worker_restarts_total",
      "Workers replaced, by reason: a signal, a breach of the protocol, or an exit.",
      () =>
        WORKER_ENDS.map((end) => ({ labels: [["reason", end]], value: this.#totals.ended[end] })),
    );
    registry.sampled(
      "sslserver_workers_silent_total",
      "Times a worker did not answer a scrape within a second; its last counts were used.",
      () => [{ labels: [], value: this.#totals.silent }],
    );
  }

  /** Listens, on `socket` if the monitor has made it. Call it before the worker gives up its
   *  privileges. Throws `FatalError`. A worker that replaces another only logs the error and goes
   *  on without metrics: connections are more important. */
  async listen(socket: number | undefined): Promise<void> {
    const { services: { options: { metrics }, log }, again } = this.o;
    if (!metrics) return;
    try {
      const text = (): Promise<string> => this.#text();
      this.#endpoint = await openEndpoint(metrics, log, { text, socket, quiet: again });
    } catch (error) {
      if (!again) throw error;
      log.error(reason(error));
      return;
    }
    this.o.send({ kind: "PLACED" });
  }

  /** READY has been sent: answers and reports may begin. */
  begin(): void {
    this.#begun.resolve();
    this.#timer = setInterval(() => this.#push(0), this.o.push ?? PUSH);
    this.#timer.unref();
  }

  /** GATHER. */
  gather({ id }: MessageOf<"GATHER">): void {
    this.#push(id);
  }

  /** TOTALS. */
  total({ id, ...totals }: MessageOf<"TOTALS">): void {
    if (id === this.#lastId) this.#asked?.resolve(totals);
  }

  /** Stops at once, so that a successor can listen at the same place. */
  close(): void {
    clearInterval(this.#timer);
    this.#endpoint?.close();
    const error = new Error("the server is shutting down");
    this.#begun.reject(error);
    this.#asked?.reject(error);
  }

  #push(id: number): Float64Array {
    const counts = this.o.registry.counts();
    this.o.send({ kind: "COUNTS", id, counts });
    return counts;
  }

  /** Prepares one answer at a time. A request that comes meanwhile shares the next answer, because
   *  the counts of the present one may be older than what the scraper has seen. */
  #text(): Promise<string> {
    if (!this.#now) return this.#begin();
    const begin = (): Promise<string> => {
      this.#next = undefined;
      return this.#begin();
    };
    return this.#next ??= this.#now.then(begin, begin);
  }

  #begin(): Promise<string> {
    const answer = this.#answer().finally(() => {
      if (this.#now === answer) this.#now = undefined;
    });
    this.#now = answer;
    return answer;
  }

  async #answer(): Promise<string> {
    await this.#begun.promise;
    this.#totals = await this.#gather();
    return expose(this.o.registry.families(this.#totals.counts));
  }

  /** Reports this worker's counts to the monitor, which keeps them, and returns the sums: no
   *  counter that a scraper has seen decreases if this worker dies. */
  #gather(): Promise<Totals> {
    const { workers, again, services: { programs }, registry } = this.o;
    if (workers === 1 && !again) {
      return Promise.resolve(totalsOfOne(this.#push(0), programsOnly(programs)));
    }
    const id = ++this.#lastId;
    return new Promise<Totals>((resolve, reject) => {
      this.#asked = { resolve, reject };
      this.o.send({ kind: "SCRAPE", id, counts: registry.counts() });
    }).finally(() => this.#asked = undefined);
  }
}
