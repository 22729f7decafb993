/** How the server stops, as the monitor sees it. SIGTERM frees the port and leaves connections to
 *  their workers; SIGQUIT or a second SIGTERM ends everything. Decides when the monitor is not
 *  needed any more. */

import { LEFT_STATES } from "../worker_states.ts";
import type { Port } from "./port.ts";
import type { Worker } from "./worker_handle.ts";

export const PHASES = [
  "serving",
  /** Waits for connections that have no program yet. */
  "draining",
  /** Has waited long enough for these connections. */
  "hurried",
  /** Programs and workers are being ended. */
  "ending",
  /** No program runs any more. */
  "over",
  /** A start has failed: the monitor waits for nothing. */
  "abandoned",
] as const;

export type Phase = typeof PHASES[number];

/** `late`: the time for connections to get a program is over. `programs over`: all programs have
 *  ended, after `end`. */
export type PhaseEvent = "drain" | "end" | "late" | "programs over" | "abandon";

/** The phase after an event, if it changes. */
const NEXT: Readonly<Record<Phase, Partial<Record<PhaseEvent, Phase>>>> = {
  serving: { drain: "draining", end: "ending", abandon: "abandoned" },
  draining: { late: "hurried", end: "ending", abandon: "abandoned" },
  hurried: { end: "ending", abandon: "abandoned" },
  ending: { "programs over": "over", abandon: "abandoned" },
  over: { abandon: "abandoned" },
  abandoned: {},
};

export function phaseAfter(phase: Phase, event: PhaseEvent): Phase {
  return NEXT[phase][event] ?? phase;
}

/** For each phase, whether the monitor is not needed any more once all workers have left the
 *  port. */
const DONE: Readonly<Record<Phase, (workers: readonly Pick<Worker, "state">[]) => boolean>> = {
  serving: () => false,
  draining: (workers) => workers.every(({ state }) => state === "settled"),
  hurried: () => true,
  ending: () => false,
  over: (workers) => workers.length === 0,
  abandoned: () => false,
};

export class Departure {
  #phase: Phase = "serving";
  /** `left`: all workers say that they have closed the port, and the monitor checks it. */
  #port: "open" | "left" | "free" = "open";
  readonly #closed = Promise.withResolvers<void>();

  constructor(
    readonly port: Pick<Port, "untilFree">,
    readonly workers: () => readonly Worker[],
  ) {}

  get phase(): Phase {
    return this.#phase;
  }

  /** Resolves when this process is not needed any more. Rejects after `fail`. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  fail(error: Error): void {
    this.#closed.reject(error);
  }

  happens(event: PhaseEvent): void {
    this.#phase = phaseAfter(this.#phase, event);
  }

  /** Call it when the phase or the state of a worker has changed. */
  check(): void {
    if (["serving", "ending", "abandoned"].includes(this.#phase)) return;
    const workers = this.workers();
    if (!workers.every(({ state }) => LEFT_STATES.includes(state))) return;
    if (this.#port === "open") void this.#waitUntilFree();
    if (this.#port === "free" && DONE[this.#phase](workers)) this.#closed.resolve();
  }

  async #waitUntilFree(): Promise<void> {
    this.#port = "left";
    await this.port.untilFree(this.workers);
    this.#port = "free";
    this.check();
  }
}
