/** Slots (-c) that the monitor has lent to workers. A worker needs a slot before a handshake
 *  begins, and should not have to ask for it. So each worker has a share from the start, and keeps
 *  the slot of a program that ends. Only a worker without a free slot asks (WANT). While a worker
 *  waits, the others return slots that they do not use. Lent slots count as taken, so -c holds over
 *  all workers together. */

import { DecodeError } from "../../codec/bytes.ts";
import type { Options } from "../../config/options.ts";
import type { Slot, Slots } from "../../program/slots.ts";
import type { SlotCounts } from "../messages.ts";
import { ACTIVE_STATES } from "../worker_states.ts";
import type { Worker } from "./worker_handle.ts";

/** Added to the maximum number of slots that a worker may wait for, which is what -c and --pending
 *  allow. */
const MORE_WANTED = 1024;

export interface GrantsOptions {
  readonly slots: Slots;
  readonly options: Options;
  readonly workers: number;
  /** The workers that serve now. */
  readonly serving: () => Iterable<Worker>;
}

export class Grants {
  #lastSent = "";

  constructor(readonly o: GrantsOptions) {
    o.slots.onChange(() => this.#sendCounts());
  }

  /** The last fields of every message about programs. `granted`: slots that the worker gets with
   *  it. */
  counts(granted = 0): SlotCounts {
    const { running, full, waiting } = this.o.slots;
    return { running, full, wanted: waiting > 0, granted };
  }

  /** A worker begins to serve. */
  begin(worker: Worker): void {
    const { slots, workers, options } = this.o;
    const share = workers === 1 ? Infinity : Math.floor(options.concurrency / workers);
    const granted = slots.remove(share);
    worker.granted += granted;
    worker.channel.send({ kind: "SLOTS", ...this.counts(granted) });
  }

  /** WANT. Throws `DecodeError`. */
  want(worker: Worker): void {
    const { options: { concurrency, pending }, slots } = this.o;
    if (worker.wants.size >= concurrency + pending + MORE_WANTED) {
      throw new DecodeError("privsep: want: too often at byte 0");
    }
    const want = { stop() {} };
    worker.wants.add(want);
    want.stop = slots.wait({
      give: (slot) => {
        slot.transfer();
        worker.wants.delete(want);
        worker.granted++;
        worker.channel.send({ kind: "SLOTS", ...this.counts(1) });
      },
      fail() {},
    });
  }

  /** RETURN. Throws `DecodeError`. */
  takeBack(worker: Worker, count: number): void {
    if (count > worker.granted) {
      throw new DecodeError(`privsep: return: ${count} slots at byte 0`);
    }
    worker.granted -= count;
    this.o.slots.add(count);
  }

  /** Returns a slot for a program that the worker asks for: one lent to it, or a free one;
   *  undefined: there is none. */
  takeSlot(worker: Worker): Slot | undefined {
    const { slots } = this.o;
    if (worker.granted === 0) return slots.takeNow()?.secureNow();
    worker.granted--;
    return slots.adopt();
  }

  /** A program of the worker has ended or did not start. The slot stays with the worker, unless
   *  others wait for one or the worker has more than its share. Returns how many slots the worker
   *  gets. */
  programEnded(worker: Worker, slot: Slot): 0 | 1 {
    const { slots, workers, options: { concurrency } } = this.o;
    const has = worker.programs.size + worker.granted;
    const serves = worker.channel.open && ACTIVE_STATES.includes(worker.state);
    if (!serves || slots.waiting > 0 || has >= Math.ceil(concurrency / workers)) {
      slot.release();
      return 0;
    }
    slot.transfer();
    worker.granted++;
    return 1;
  }

  /** A worker has ended: its slots are free again. */
  end(worker: Worker): void {
    for (const want of worker.wants) want.stop();
    worker.wants.clear();
    const { granted } = worker;
    worker.granted = 0;
    this.o.slots.add(granted);
  }

  #sendCounts(): void {
    const { slots: { full, waiting }, serving } = this.o;
    const now = `${full} ${waiting > 0}`;
    if (now === this.#lastSent) return;
    this.#lastSent = now;
    for (const worker of serving()) {
      worker.channel.send({ kind: "SLOTS", ...this.counts() });
    }
  }
}
