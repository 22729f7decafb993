/** The monitor's sums. When a scraper asks one worker, the monitor asks the others for their
 *  counts, and it keeps the counts of workers that have ended. It does not know what the numbers
 *  count.
 *
 *  Counters never decrease: the counts of a dead worker stay in the sums, and so do the last counts
 *  of a worker that does not answer. The states (gauges) of such workers are left out. */

import { DecodeError } from "../../codec/bytes.ts";
import type { CountKind } from "../../metrics/registry.ts";
import { addCounts, checkCounts, neverLower, type Totals, type WorkerEnd } from "../counts.ts";
import type { MonitorMessage } from "../messages.ts";

/** How long a worker may take to answer, in milliseconds: scrapers wait for ten seconds. */
const REPORT_TIMEOUT = 1000;

/** The part of a worker that is needed to ask it. */
export interface Counting {
  readonly channel: { send(message: MonitorMessage): void };
}

/** One scrape. */
interface Round<W> {
  readonly id: number;
  readonly requester: W;
  /** The id that the asker has given it. */
  readonly asked: number;
  /** The workers that have not answered. */
  readonly missing: Set<W>;
  readonly timer: ReturnType<typeof setTimeout>;
}

export interface GatheringOptions<W> {
  readonly kinds: readonly CountKind[];
  /** The workers that serve now. */
  readonly serving: () => Iterable<W>;
  /** Programs that run. */
  readonly programs: () => number;
  /** How long to wait for the workers, in milliseconds. */
  readonly timeout?: number;
}

export class Gathering<W extends Counting> {
  /** The last counts of each worker. */
  readonly #last = new Map<W, Float64Array>();
  /** The sums of all workers that have ended. */
  readonly #kept: Float64Array;
  /** The sums that a scraper has seen last. */
  readonly #shown: Float64Array;
  readonly #ended: Record<WorkerEnd, number> = { signal: 0, breach: 0, exit: 0 };
  #silent = 0;
  #rounds = 0;
  #round: Round<W> | undefined;

  constructor(readonly o: GatheringOptions<W>) {
    this.#kept = new Float64Array(o.kinds.length);
    this.#shown = new Float64Array(o.kinds.length);
  }

  /** COUNTS. An answer that is late for its round is used in the next. Throws `DecodeError`. */
  take(worker: W, id: number, counts: Float64Array): void {
    if (id > this.#rounds) throw new DecodeError(`privsep: id: no round ${id} at byte 0`);
    this.#keep(worker, counts);
    if (id === this.#round?.id) this.#answered(worker);
  }

  /** SCRAPE; TOTALS will follow. Throws `DecodeError`, also for a second SCRAPE before TOTALS. */
  scrape(worker: W, asked: number, counts: Float64Array): void {
    if (this.#round) throw new DecodeError("privsep: scrape: another is under way at byte 0");
    this.#keep(worker, counts);
    const missing = new Set([...this.o.serving()].filter((other) => other !== worker));
    const timer = setTimeout(() => this.#close(), this.o.timeout ?? REPORT_TIMEOUT);
    const id = ++this.#rounds;
    this.#round = { id, requester: worker, asked, missing, timer };
    for (const other of [...missing]) other.channel.send({ kind: "GATHER", id });
    if (missing.size === 0) this.#close();
  }

  /** A worker's process has ended. */
  gone(worker: W, end: WorkerEnd): void {
    this.#ended[end]++;
    const counts = this.#last.get(worker);
    if (counts) addCounts(this.#kept, counts, this.o.kinds, false);
    this.#last.delete(worker);
    if (this.#round?.requester === worker) this.stop();
    else this.#answered(worker);
  }

  /** Drops the round: its asker waits for no answer any more. */
  stop(): void {
    clearTimeout(this.#round?.timer);
    this.#round = undefined;
  }

  #keep(worker: W, counts: Float64Array): void {
    checkCounts(counts, this.o.kinds, this.#last.get(worker));
    this.#last.set(worker, counts);
  }

  #answered(worker: W): void {
    if (this.#round?.missing.delete(worker) && this.#round.missing.size === 0) this.#close();
  }

  /** Answers with the counts that have arrived. */
  #close(): void {
    if (!this.#round) return;
    const { requester, asked, missing } = this.#round;
    this.stop();
    this.#silent += missing.size;
    requester.channel.send({ kind: "TOTALS", id: asked, ...this.#totals(missing) });
  }

  #totals(missing: ReadonlySet<W>): Totals {
    const counts = this.#kept.slice();
    for (const [worker, last] of this.#last) {
      addCounts(counts, last, this.o.kinds, !missing.has(worker));
    }
    // Rounding: fractions added in another order can give a slightly smaller sum, which a scraper
    // would take for a restart.
    neverLower(counts, this.#shown, this.o.kinds);
    return {
      counts,
      workers: [...this.o.serving()].length,
      programs: this.o.programs(),
      silent: this.#silent,
      ended: { ...this.#ended },
    };
  }
}
