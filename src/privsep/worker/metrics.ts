/** A worker's part in --metrics: it tells the monitor what it has counted, and in one worker it answers
 *  scrapers with the sums that the monitor makes of all. */

import { reason } from "../../errors.ts";
import { describeServer } from "../../metrics/describe.ts";
import { type MetricsEndpoint, openEndpoint } from "../../metrics/endpoint.ts";
import { expose } from "../../metrics/exposition.ts";
import type { Registry } from "../../metrics/registry.ts";
import type { Services } from "../../services.ts";
import { type Introduction, type Totals, totalsOfOne, WORKER_ENDS } from "../counts.ts";
import type { MessageOf, WorkerMessage } from "../messages.ts";

/** The monitor is told so often, in milliseconds: what has been counted since is lost when the worker
 *  dies, unless a scraper has seen it. */
const PUSH = 2000;

export interface WorkerMetricsOptions {
  readonly services: Services;
  readonly registry: Registry;
  readonly send: (message: WorkerMessage) => void;
  /** How many workers there are. */
  readonly workers: number;
  /** This one takes the place of one that has ended. */
  readonly again: boolean;
  /** For the one that answers. */
  readonly introduction: Introduction | undefined;
  /** See `PUSH`. */
  readonly push?: number;
}

export class WorkerMetrics {
  #totals: Totals;
  readonly #begun = Promise.withResolvers<void>();
  #endpoint: MetricsEndpoint | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The answer that is being made, and the one after it. */
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
    registry.told(
      "sslserver_worker_restarts_total",
      "Workers replaced, by reason: a signal, a breach of the protocol, or an exit.",
      () =>
        WORKER_ENDS.map((end) => ({ labels: [["reason", end]], value: this.#totals.ended[end] })),
    );
    registry.told(
      "sslserver_workers_silent_total",
      "Times a worker did not report within a second, so that its last values were shown.",
      () => [{ labels: [], value: this.#totals.silent }],
    );
  }

  /** Listens, on `socket` if the monitor has made it; while rights are there. Throws `FatalError`, but
   *  in place of another worker it says so and does without: to serve is more than to count. */
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

  /** READY has been sent. */
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

  /** A successor may take the place as early as the port. */
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

  /** One answer is made at a time. Who asks meanwhile shares the next one: that under way may have been
   *  counted before what this one has seen. */
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

  /** What it says of itself here is what the monitor is told, and keeps: if this worker dies, no
   *  counter that a scraper has seen goes back. */
  #gather(): Promise<Totals> {
    const { workers, again, services: { programs }, registry } = this.o;
    if (workers === 1 && !again) {
      return Promise.resolve(totalsOfOne(this.#push(0), programs.running ?? 0));
    }
    const id = ++this.#lastId;
    return new Promise<Totals>((resolve, reject) => {
      this.#asked = { resolve, reject };
      this.o.send({ kind: "SCRAPE", id, counts: registry.counts() });
    }).finally(() => this.#asked = undefined);
  }
}
