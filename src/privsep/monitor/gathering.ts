/** The monitor's sums: it asks the workers what they have counted when one of them is asked, and keeps
 *  what those had counted that have ended. It knows numbers, not what they count.
 *
 *  Counters never go back: what a worker had counted that has died stays in the sums, and so does what
 *  one said last that does not answer. Their states are left out. */

import { DecodeError } from "../../codec/bytes.ts";
import type { CountKind } from "../../metrics/registry.ts";
import { addCounts, checkCounts, neverLower, type Totals, type WorkerEnd } from "../counts.ts";
import type { MonitorMessage } from "../messages.ts";

/** How long a worker may take to answer, in milliseconds: scrapers wait for ten seconds. */
const PATIENCE = 1000;

/** A worker: whoever has such a channel. */
export interface Counting {
  readonly channel: { send(message: MonitorMessage): void };
}

/** One scrape. */
interface Round<W> {
  readonly id: number;
  readonly asker: W;
  /** The asker's own number for it. */
  readonly asked: number;
  /** Who has not answered. */
  readonly missing: Set<W>;
  readonly timer: ReturnType<typeof setTimeout>;
}

export interface GatheringOptions<W> {
  readonly kinds: readonly CountKind[];
  /** The workers that serve now. */
  readonly serving: () => Iterable<W>;
  /** Programs that run. */
  readonly programs: () => number;
  /** In milliseconds. */
  readonly patience?: number;
}

export class Gathering<W extends Counting> {
  /** What each has sent last. */
  readonly #last = new Map<W, Float64Array>();
  /** Of all that have ended. */
  readonly #kept: Float64Array;
  /** What a scraper has seen last. */
  readonly #shown: Float64Array;
  readonly #ended: Record<WorkerEnd, number> = { signal: 0, breach: 0, exit: 0 };
  #silent = 0;
  #rounds = 0;
  #round: Round<W> | undefined;

  constructor(readonly o: GatheringOptions<W>) {
    this.#kept = new Float64Array(o.kinds.length);
    this.#shown = new Float64Array(o.kinds.length);
  }

  /** COUNTS; too late for its round is early for the next. Throws `DecodeError`. */
  take(worker: W, id: number, counts: Float64Array): void {
    if (id > this.#rounds) throw new DecodeError(`privsep: id: no round ${id} at byte 0`);
    this.#keep(worker, counts);
    if (id === this.#round?.id) this.#answered(worker);
  }

  /** SCRAPE; TOTALS will follow. Throws `DecodeError`, for a second one before that too. */
  scrape(worker: W, asked: number, counts: Float64Array): void {
    if (this.#round) throw new DecodeError("privsep: scrape: another is under way at byte 0");
    this.#keep(worker, counts);
    const missing = new Set([...this.o.serving()].filter((other) => other !== worker));
    const timer = setTimeout(() => this.#close(), this.o.patience ?? PATIENCE);
    const id = ++this.#rounds;
    this.#round = { id, asker: worker, asked, missing, timer };
    for (const other of [...missing]) other.channel.send({ kind: "GATHER", id });
    if (missing.size === 0) this.#close();
  }

  /** A worker's process has ended. */
  gone(worker: W, end: WorkerEnd): void {
    this.#ended[end]++;
    const counts = this.#last.get(worker);
    if (counts) addCounts(this.#kept, counts, this.o.kinds, false);
    this.#last.delete(worker);
    if (this.#round?.asker === worker) this.stop();
    else this.#answered(worker);
  }

  /** Nobody waits for an answer any more. */
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

  /** Answers with what there is. */
  #close(): void {
    if (!this.#round) return;
    const { asker, asked, missing } = this.#round;
    this.stop();
    this.#silent += missing.size;
    asker.channel.send({ kind: "TOTALS", id: asked, ...this.#totals(missing) });
  }

  #totals(missing: ReadonlySet<W>): Totals {
    const counts = this.#kept.slice();
    for (const [worker, last] of this.#last) {
      addCounts(counts, last, this.o.kinds, !missing.has(worker));
    }
    // Fractions added in another order can come to a bit less: to a scraper that is a restart.
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
