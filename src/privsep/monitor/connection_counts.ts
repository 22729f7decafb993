/** Connections that workers have counted by address, for MAXCONIP and its kind: all of them count
 *  together, so the monitor does it. It sees addresses and keys of rules, nothing that a peer has sent. */

import { Limits, type Refusal } from "../../admit/limits.ts";
import type { Options } from "../../config/options.ts";
import type { MessageOf, WireAsk } from "../messages.ts";
import type { Worker } from "./worker_handle.ts";

/** Connections of one worker that are counted, beyond four times as many as -c and --pending allow. */
const MORE_HOLDS = 65_536;

export class ConnectionCounts {
  readonly #limits: Limits;
  /** Of one worker. */
  readonly #most: number;

  constructor({ concurrency, pending }: Options, now: () => number) {
    this.#limits = new Limits({ programs: concurrency, now });
    this.#most = 4 * (concurrency + pending) + MORE_HOLDS;
  }

  /** Answers TAKE. Throws `DecodeError` for what must not be, as the others do. */
  take(worker: Worker, { id, address, ask }: MessageOf<"TAKE">): void {
    worker.countHold(id, worker.holds.size < this.#most);
    const taken = this.#limits.take(address, ask);
    if ("release" in taken) worker.holds.set(id, { hold: taken, checks: 0 });
    if (asksAnything(ask)) verdict(worker, id, "release" in taken ? undefined : taken);
    else if (!("release" in taken)) throw new Error("refused without a limit");
  }

  /** Answers CHECK. */
  check(worker: Worker, { id, ask }: MessageOf<"CHECK">): void {
    verdict(worker, id, worker.holdToCheck(id).check(ask));
  }

  /** Answers RELEASE. */
  release(worker: Worker, { id }: MessageOf<"RELEASE">): void {
    worker.hold(id).release();
    worker.holds.delete(id);
  }
}

function verdict(worker: Worker, id: number, refusal: Refusal | undefined): void {
  const { by = "none", count = 0 } = refusal ?? {};
  worker.channel.send({ kind: "VERDICT", id, refusal: by, count });
}

function asksAnything({ perAddress, rate, network }: WireAsk): boolean {
  return perAddress > 0 || rate.count > 0 || network.count > 0;
}
