/** What workers count, on its way to the one who is asked: the rules for numbers from a worker, and what
 *  the one that answers is told. Pure: no I/O.
 *
 *  A worker may have been taken over. It can say too much of itself, but what it sends must stay a
 *  number that a scraper can read, and no counter goes back: that would be read as a restart. */

import { DecodeError } from "../codec/bytes.ts";
import type { CountKind } from "../metrics/registry.ts";

/** Why a worker had to be replaced: what it sent was not allowed, a signal, or it ended by itself. */
export const WORKER_ENDS = ["signal", "breach", "exit"] as const;
export type WorkerEnd = typeof WORKER_ENDS[number];

/** What holds for all workers. */
export interface Totals {
  /** The sums, in the order of `Registry.counts`. */
  readonly counts: Float64Array;
  /** Workers that serve. */
  readonly workers: number;
  /** Programs that run. */
  readonly programs: number;
  /** How often a worker did not say in time what it has counted. */
  readonly silent: number;
  /** Workers that have ended. */
  readonly ended: Readonly<Record<WorkerEnd, number>>;
}

/** Before any worker has ended, of the only one. */
export function totalsOfOne(counts: Float64Array, programs: number): Totals {
  return { counts, workers: 1, programs, silent: 0, ended: { signal: 0, breach: 0, exit: 0 } };
}

/** Checks what a worker has sent against what it sent before. Throws `DecodeError`. */
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
      throw new DecodeError(`privsep: counts: nothing to count with at byte ${8 * i}`);
    }
    if (kind !== "state" && value < (before?.[i] ?? 0)) {
      throw new DecodeError(`privsep: counts: less than before at byte ${8 * i}`);
    }
  }
}

/** Adds `counts` to `sums`; without `states` only what stays true when the worker is gone. */
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

/** Raises what must not fall to what it has been, and remembers it there. */
export function neverLower(
  sums: Float64Array,
  shown: Float64Array,
  kinds: readonly CountKind[],
): void {
  for (const [i, kind] of kinds.entries()) {
    if (kind !== "state") sums[i] = shown[i] = Math.max(sums[i] as number, shown[i] as number);
  }
}

/** What the worker that answers is told when it starts. */
export interface Introduction {
  /** When the server was started, in seconds since 1970. */
  readonly started: number;
  /** A listening socket comes beside it. */
  readonly socket: boolean;
}
