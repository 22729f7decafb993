/** Programs, as the stages see them: slots, and starts. `DirectPrograms` starts programs from this
 *  process. A worker asks the monitor to start them (privsep/worker/remote_programs.ts). */

import { reason } from "../errors.ts";
import { ConnectionError, startFailure } from "../reason.ts";
import type { Program, Runtime } from "../runtime/runtime.ts";
import { programEnvironment, type ProgramRequest } from "./environment.ts";
import { type EndOptions, watchEnd } from "./program_end.ts";
import type { Cancellable, ConnectionSlot, RunningProgram } from "../connection.ts";
import type { ConnectionHandler, HandlerFacts } from "./handler.ts";
import type { Slots } from "./slots.ts";

export interface Programs {
  /** Calls `changed` when one of the numbers below has changed. */
  onChange(changed: () => void): void;
  /** Programs that run, in the whole server, and handlers of this process (`hold`). Undefined if
   *  the monitor, which counts them, has exited. */
  readonly running: number | undefined;
  /** The handlers among them. */
  readonly held: number;
  /** Connections of this process that wait for a slot (-c). */
  readonly waiting: number;
  /** Every slot is taken, by a program or by a handshake. */
  readonly full: boolean;
  /** Returns a free slot, or a promise of one if all are taken; callers are served in order.
   *  Rejects when the signal of `conn` aborts. */
  slot(conn: Cancellable): ConnectionSlot | Promise<ConnectionSlot>;
  /** Starts the program in a slot secured by `ConnectionSlot.secure`. The slot becomes free when
   *  the program has been reaped. Rejects when `signal` aborts, or with `ConnectionError`; the
   *  caller must then release the slot. */
  start(
    request: ProgramRequest,
    slot: ConnectionSlot,
    signal: AbortSignal,
  ): Promise<RunningProgram>;
  /** Like `start`, for a handler in this process, which behaves like a program: `slot` becomes free
   *  when it has ended. */
  hold(slot: ConnectionSlot, handler: ConnectionHandler, facts: HandlerFacts): Program;
}

/** Starts programs from this process. */
export class DirectPrograms implements Programs {
  held = 0;

  constructor(
    readonly runtime: Runtime,
    readonly slots: Slots,
    readonly command: readonly string[],
    readonly base: Readonly<Record<string, string>>,
    readonly end?: EndOptions,
  ) {}

  onChange(changed: () => void): void {
    this.slots.onChange(changed);
  }

  get running(): number {
    return this.slots.running;
  }

  get waiting(): number {
    return this.slots.waiting;
  }

  get full(): boolean {
    return this.slots.full;
  }

  slot(conn: Cancellable): ConnectionSlot | Promise<ConnectionSlot> {
    return this.slots.takeNow() ?? this.slots.take(conn.signal);
  }

  async start(request: ProgramRequest, slot: ConnectionSlot): Promise<Program> {
    const { delayed, rules, command = this.command } = request;
    const env = programEnvironment(this.base, request, rules, this.runtime.libc);
    try {
      const program = this.runtime.spawn({ command, env, delayed });
      return occupy(slot, this.end ? watchEnd(program, this.end) : program);
    } catch (error) {
      const text = `unable to run ${command[0]}: ${reason(error)}`;
      throw new ConnectionError(startFailure(text));
    }
  }

  hold(slot: ConnectionSlot, handler: ConnectionHandler, facts: HandlerFacts): Program {
    const program = handler.start(facts);
    slot.run();
    this.held++;
    program.exited.then(() => {
      slot.release();
      this.held--;
    });
    return program;
  }
}

/** Frees the slot when the program has ended. */
export function occupy(slot: ConnectionSlot, program: Program): Program {
  slot.run();
  program.exited.then(() => slot.release());
  return program;
}
