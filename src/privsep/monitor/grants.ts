/** Slots (-c) that the monitor has lent to workers. A worker needs one before a handshake begins, and
 *  must not have to ask for it: each has a share from the start, and when a program ends the slot stays
 *  with its worker. Only one that has none left asks (WANT). While any waits, the others return what they
 *  do not use. What is lent counts as taken, so that -c holds over all workers. */

import { DecodeError } from "../../codec/bytes.ts";
import type { Options } from "../../config/options.ts";
import type { Slot, Slots } from "../../program/slots.ts";
import type { SlotCounts } from "../messages.ts";
import { ACTIVE } from "../worker_states.ts";
import type { Worker } from "./worker_handle.ts";

/** Slots that a worker may wait for, beyond as many as -c and --pending allow connections. */
const MORE_WANTED = 1024;

export interface GrantsOptions {
  readonly slots: Slots;
  readonly options: Options;
  readonly workers: number;
  /** Those who serve now. */
  readonly serving: () => Iterable<Worker>;
}

export class Grants {
  #told = "";

  constructor(readonly o: GrantsOptions) {
    o.slots.onChange(() => this.#tell());
  }

  /** For every message about programs. `granted`: slots that the worker gets with it. */
  now(granted = 0): SlotCounts {
    const { running, full, waiting } = this.o.slots;
    return { running, full, wanted: waiting > 0, granted };
  }

  /** A worker begins to serve. */
  begin(worker: Worker): void {
    const { slots, workers, options } = this.o;
    const share = workers === 1 ? Infinity : Math.floor(options.concurrency / workers);
    const granted = slots.remove(share);
    worker.granted += granted;
    worker.channel.send({ kind: "SLOTS", ...this.now(granted) });
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
        slot.hand();
        worker.wants.delete(want);
        worker.granted++;
        worker.channel.send({ kind: "SLOTS", ...this.now(1) });
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

  /** A slot for a program that the worker asks for: its own, or one that is free. */
  use(worker: Worker): Slot | undefined {
    const { slots } = this.o;
    if (worker.granted === 0) return slots.takeNow()?.hold();
    worker.granted--;
    return slots.adopt();
  }

  /** A program of the worker has ended, or has not begun: the slot stays with the worker, unless others
   *  wait for one or it has more than its share. How many it gets. */
  spare(worker: Worker, slot: Slot): 0 | 1 {
    const { slots, workers, options: { concurrency } } = this.o;
    const has = worker.programs.size + worker.granted;
    const serves = worker.channel.open && ACTIVE.includes(worker.state);
    if (!serves || slots.waiting > 0 || has >= Math.ceil(concurrency / workers)) {
      slot.release();
      return 0;
    }
    slot.hand();
    worker.granted++;
    return 1;
  }

  /** A worker is gone. */
  end(worker: Worker): void {
    for (const want of worker.wants) want.stop();
    worker.wants.clear();
    const { granted } = worker;
    worker.granted = 0;
    this.o.slots.add(granted);
  }

  #tell(): void {
    const { slots: { full, waiting }, serving } = this.o;
    const now = `${full} ${waiting > 0}`;
    if (now === this.#told) return;
    this.#told = now;
    for (const worker of serving()) {
      worker.channel.send({ kind: "SLOTS", ...this.now() });
    }
  }
}
