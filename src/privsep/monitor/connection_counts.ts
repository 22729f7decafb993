/** Counts connections by address for MAXCONIP, MAXCONRATE and MAXCONNET. The monitor does it,
 *  because these limits apply to all workers together. It sees addresses and keys of rules, but no
 *  data of a peer. */

import { type LimitRefusal, LocalLimiter, type LocalReservation } from "../../admit/limits.ts";
import type { Options } from "../../config/options.ts";
import { hasAnyLimit, type MessageOf } from "../messages.ts";
import type { Worker } from "./worker_handle.ts";

/** The maximum number of counted connections of one worker is four times what -c and --pending
 *  allow, plus this number. */
const MORE_RESERVATIONS = 65_536;

export class ConnectionCounts {
  readonly #limiter: LocalLimiter;
  /** Maximum number of counted connections of one worker. */
  readonly #most: number;

  constructor({ concurrency, pending }: Options, now: () => number) {
    this.#limiter = new LocalLimiter({ programs: concurrency, now });
    this.#most = 4 * (concurrency + pending) + MORE_RESERVATIONS;
  }

  /** Answers TAKE. Throws `DecodeError` for an invalid request, as the other handlers do. */
  take(worker: Worker, { id, address, limits }: MessageOf<"TAKE">): void {
    worker.checkReservation(id, worker.reservations.size < this.#most);
    const taken = this.#limiter.take(address, limits);
    if ("release" in taken) worker.reservations.set(id, { reservation: taken, checks: 0 });
    if (hasAnyLimit(limits)) verdict(worker, id, taken);
    else if (!("release" in taken)) throw new Error("a connection without a limit was refused");
  }

  /** Answers CHECK. */
  check(worker: Worker, { id, limits }: MessageOf<"CHECK">): void {
    const held = worker.reservationToCheck(id);
    verdict(worker, id, held.check(limits) ?? held);
  }

  /** Answers RELEASE. */
  release(worker: Worker, { id }: MessageOf<"RELEASE">): void {
    worker.reservation(id).release();
    worker.reservations.delete(id);
  }
}

function verdict(worker: Worker, id: number, result: LimitRefusal | LocalReservation): void {
  if ("release" in result) {
    const { others = 0 } = result;
    worker.channel.send({ kind: "VERDICT", id, refusal: "none", count: 0, others });
  } else {
    const { by, count } = result;
    worker.channel.send({ kind: "VERDICT", id, refusal: by, count, others: 0 });
  }
}
