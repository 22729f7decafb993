/** Connections that workers have counted by address, for MAXCONIP and its kind: all of them count
 *  together, so the monitor does it. It sees addresses and keys of rules, nothing that a peer has sent. */

import { Limits } from "../../admit/limits.ts";
import type { Options } from "../../config/options.ts";
import { Frame, KIND } from "../frame.ts";
import { REFUSALS, type WireAsk, type WorkerMessage } from "../messages.ts";
import type { Worker } from "./worker_handle.ts";

/** Connections of one worker that are counted, beyond four times as many as -c and --pending allow. */
const MORE_HOLDS = 65_536;

type CountRequest = WorkerMessage & {
  kind: typeof KIND.TAKE | typeof KIND.CHECK | typeof KIND.RELEASE;
};

export class ConnectionCounts {
  readonly #limits: Limits;
  /** Of one worker. */
  readonly #most: number;

  constructor({ concurrency, pending }: Options, now: () => number) {
    this.#limits = new Limits({ programs: concurrency, now });
    this.#most = 4 * (concurrency + pending) + MORE_HOLDS;
  }

  /** Throws `DecodeError` for what must not be. */
  receive(worker: Worker, request: CountRequest): void {
    const { id } = request;
    switch (request.kind) {
      case KIND.TAKE: {
        const { address, ask } = request;
        worker.countHold(id, worker.holds.size < this.#most);
        const taken = this.#limits.take(address, ask);
        if ("release" in taken) worker.holds.set(id, { hold: taken, checks: 0 });
        if (asksAnything(ask)) verdict(worker, id, "release" in taken ? undefined : taken);
        else if (!("release" in taken)) throw new Error("refused without a limit");
        return;
      }
      case KIND.CHECK:
        return verdict(worker, id, worker.holdToCheck(id).check(request.ask));
      case KIND.RELEASE:
        worker.hold(id).release();
        worker.holds.delete(id);
        return;
    }
  }
}

function verdict(
  worker: Worker,
  id: number,
  refusal: { by: typeof REFUSALS[number]; count: number } | undefined,
): void {
  const by = refusal ? REFUSALS.indexOf(refusal.by) + 1 : 0;
  worker.channel.send(new Frame(KIND.VERDICT).id(id).u8(by).u32(refusal?.count ?? 0).done());
}

function asksAnything({ perAddress, rate, network }: WireAsk): boolean {
  return perAddress > 0 || rate.count > 0 || network.count > 0;
}
