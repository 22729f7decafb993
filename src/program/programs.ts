/** Programs, as the stages see them: how one is asked for and what becomes of it. `DirectPrograms`
 *  starts them in this process; with workers the monitor does it for them (privsep/worker/remote_programs.ts). */

import { reason } from "../errors.ts";
import { ConnectionError, notRun } from "../reason.ts";
import type { Program, Runtime } from "../runtime/runtime.ts";
import { programEnvironment, type ProgramRequest } from "./environment.ts";
import { type EndOptions, watchEnd } from "./program_end.ts";
import type { HeldPlace, RunningProgram } from "../connection.ts";
import type { Places } from "./slots.ts";

export interface Programs {
  /** Calls `changed` when one of the numbers below has changed. */
  onChange(changed: () => void): void;
  /** Programs that run, in the whole server; undefined when the monitor has gone, who counts. */
  readonly running: number | undefined;
  /** Connections of this process that wait for a place (-c). */
  readonly waiting: number;
  /** Every place is taken, by a program or by a handshake. */
  readonly full: boolean;
  /** A place, at once where there is one; else it waits in the order of the calls. Rejects when `signal`
   *  aborts. */
  place(signal: AbortSignal): HeldPlace | Promise<HeldPlace>;
  /** Starts the program in a place that was kept (`HeldPlace.keep`). The place is free again when the program
   *  has been reaped; when there is none, `place` is still the caller's. Rejects when `signal` aborts, or
   *  with `ConnectionError`. */
  start(request: ProgramRequest, place: HeldPlace, signal: AbortSignal): Promise<RunningProgram>;
}

/** Starts programs in this process. */
export class DirectPrograms implements Programs {
  constructor(
    readonly runtime: Runtime,
    readonly places: Places,
    readonly command: readonly string[],
    readonly base: Readonly<Record<string, string>>,
    readonly end?: EndOptions,
  ) {}

  onChange(changed: () => void): void {
    this.places.onChange(changed);
  }

  get running(): number {
    return this.places.running;
  }

  get waiting(): number {
    return this.places.waiting;
  }

  get full(): boolean {
    return this.places.full;
  }

  place(signal: AbortSignal): HeldPlace | Promise<HeldPlace> {
    return this.places.takeNow() ?? this.places.take(signal);
  }

  async start(request: ProgramRequest, place: HeldPlace): Promise<Program> {
    const { delayed, rules } = request;
    return this.hold(place, () => {
      const env = programEnvironment(this.base, request, rules, this.runtime.libc);
      try {
        const program = this.runtime.spawn({ command: this.command, env, delayed });
        return this.end ? watchEnd(program, this.end) : program;
      } catch (error) {
        const text = `unable to run ${this.command[0]}: ${reason(error)}`;
        throw new ConnectionError(notRun(text));
      }
    });
  }

  /** The same for anything that is like a program. */
  hold(place: HeldPlace, start: () => Program): Program {
    const program = start();
    place.run();
    program.exited.then(() => place.giveBack());
    return program;
  }
}
