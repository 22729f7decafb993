/** Counts on their way from the workers to the scraper: checks of the numbers that a worker
 *  reports, and what the monitor tells the worker that answers scrapers. Pure: no I/O.
 *
 *  A worker may be compromised. It can report too much of its own, but each value must stay a
 *  number that a scraper can read. No counter may decrease: a scraper takes that for a restart. */

import { DecodeError } from "../codec/bytes.ts";
import type { CountKind } from "../metrics/registry.ts";

/** Why a worker had to be replaced: a signal ended it, the monitor ended it (a breach), or it
 *  exited. */
export const WORKER_ENDS = ["signal", "breach", "exit"] as const;
export type WorkerEnd = typeof WORKER_ENDS[number];

/** The sums over all workers. */
export interface Totals {
  /** In the order of `Registry.counts`. */
  readonly counts: Float64Array;
  /** Workers that serve. */
  readonly workers: number;
  /** Programs that run. */
  readonly programs: number;
  /** How often a worker did not report its counts in time. */
  readonly silent: number;
  /** Workers that have ended, by reason. */
  readonly ended: Readonly<Record<WorkerEnd, number>>;
}

/** The totals of a single worker, before any worker has ended. */
export function totalsOfOne(counts: Float64Array, programs: number): Totals {
  return { counts, workers: 1, programs, silent: 0, ended: { signal: 0, breach: 0, exit: 0 } };
}

/** Checks the counts of a worker against its previous ones. Throws `DecodeError`. */
export function checkCounts(
  counts: Float64Array,
  kinds: readonly CountKind[],
  before: Float64Array | undefined,
): void {
  if (counts.length !== kinds.length) {
    throw new DecodeError(`privsep: counts: ${counts.length}, not ${kinds.length} at byte 0`);
  }
  for (const [i, kind] of kinds.entries()) {
    const value = counts[i] as number;
    const small = value >= 0 && value <= Number.MAX_SAFE_INTEGER && !Object.is(value, -0);
    if (!small || (kind !== "sum" && !Number.isInteger(value))) {
      throw new DecodeError(`privsep: counts: not a count at byte ${8 * i}`);
    }
    if (kind !== "state" && value < (before?.[i] ?? 0)) {
      throw new DecodeError(`privsep: counts: less than before at byte ${8 * i}`);
    }
  }
}

/** Adds `counts` to `sums`. Without `states`, adds only what stays valid after the worker has
 *  ended. */
export function addCounts(
  sums: Float64Array,
  counts: Float64Array,
  kinds: readonly CountKind[],
  states: boolean,
): void {
  for (const [i, kind] of kinds.entries()) {
    if (states || kind !== "state") sums[i] = (sums[i] as number) + (counts[i] as number);
  }
}

/** Raises each sum that must not decrease to the value last shown, and stores it in `shown`. */
export function neverLower(
  sums: Float64Array,
  shown: Float64Array,
  kinds: readonly CountKind[],
): void {
  for (const [i, kind] of kinds.entries()) {
    if (kind !== "state") sums[i] = shown[i] = Math.max(sums[i] as number, shown[i] as number);
  }
}

/** What the monitor tells the worker that answers scrapers, when that worker starts. */
export interface Introduction {
  /** When the server was started, in seconds since 1970. */
  readonly started: number;
  /** True if a listening socket comes with the message. */
  readonly socket: boolean;
}
