/** The worker's side of programs that the monitor starts. The stages use it like
 *  `DirectPrograms`. */

import { DecodeError } from "../../codec/bytes.ts";
import { reason } from "../../errors.ts";
import type { ProgramRequest } from "../../program/environment.ts";
import type { ConnectionHandler, HandlerFacts } from "../../program/handler.ts";
import { occupy, type Programs } from "../../program/programs.ts";
import type { Cancellable, ConnectionSlot } from "../../connection.ts";
import { abortError, ConnectionError, startFailure } from "../../reason.ts";
import { Slots } from "../../program/slots.ts";
import { closeAll, PIPE_ENDS } from "../../runtime/program_pipes.ts";
import type { Program, ProgramStreams, Runtime } from "../../runtime/runtime.ts";
import type { ToMonitor } from "../channel.ts";
import { EncodeError } from "../fields.ts";
import type { MessageOf, SlotCounts, WorkerMessage } from "../messages.ts";
import { type Ahead, AheadPipes } from "./ahead_pipes.ts";
import { RemoteProgram } from "./remote_program.ts";

/** A START that is not answered yet. */
interface Asked {
  readonly delayed: boolean;
  readonly resolve: (program: Program) => void;
  readonly reject: (error: Error) => void;
}

const ORPHANED = "unable to run: the monitor has ended";

const refusal = (text: string): ConnectionError => new ConnectionError(startFailure(text));

export class RemotePrograms implements Programs {
  #changed: () => void = () => {};
  /** Programs of the whole server; undefined without a monitor. */
  #count: number | undefined = 0;
  /** Slots that the monitor has lent to this worker (monitor/grants.ts). */
  readonly #slots = new Slots(0);
  /** True if the monitor has no slot left to lend. */
  #none = true;
  /** Number of slots asked for with WANT and not yet granted. */
  #wanted = 0;
  /** Set while another worker waits for slots: cancels our place in the queue that returns the next
   *  free slot. */
  #passing: (() => void) | undefined;
  #lastStart = 0;
  readonly #asked = new Map<number, Asked | "withdrawn">();
  readonly #running = new Map<number, RemoteProgram>();
  #ahead: AheadPipes | undefined;

  constructor(readonly runtime: Runtime, readonly channel: ToMonitor) {
    this.#slots.onChange(() => {
      this.#want();
      this.#changed();
    });
  }

  /** From now on, connections do not wait until their program runs. Its process id and the number of
   *  running programs are then not known when it starts. */
  prepare(): void {
    this.#ahead ??= new AheadPipes(this.channel);
  }

  onChange(changed: () => void): void {
    this.#changed = changed;
  }

  get running(): number | undefined {
    return this.#count === undefined ? undefined : this.#count + this.held;
  }

  get held(): number {
    return this.#slots.running;
  }

  get waiting(): number {
    return this.#slots.waiting - (this.#passing ? 1 : 0);
  }

  get full(): boolean {
    return this.#none && this.#slots.full;
  }

  slot(conn: Cancellable): ConnectionSlot | Promise<ConnectionSlot> {
    return this.#slots.takeNow() ?? this.#slots.take(conn.signal);
  }

  /** Asks the monitor for as many slots as handshakes wait here. */
  #want(): void {
    for (; this.#wanted < this.waiting && this.channel.open; this.#wanted++) {
      this.channel.send({ kind: "WANT" });
    }
  }

  start(request: ProgramRequest, slot: ConnectionSlot, signal: AbortSignal): Promise<Program> {
    if (signal.aborted) return Promise.reject(abortError(signal));
    if (!this.channel.open) return Promise.reject(refusal("unable to run: no monitor"));
    const id = ++this.#lastStart;
    const { delayed, rules, peer: { ip, host = "", info = "" }, variables } = request;
    const described = { ruled: rules.size > 0, ip, host, info, variables };
    const ahead = this.#ahead?.take();
    if (ahead) return this.#run(id, described, ahead, slot);
    return new Promise((resolve, reject) => {
      const frame = this.#encode({ kind: "START", id, delayed, ...described });
      const withdraw = (): void => {
        reject(abortError(signal));
        this.#asked.set(id, "withdrawn");
        this.channel.send({ kind: "CANCEL", id });
      };
      const settled = (): void => signal.removeEventListener("abort", withdraw);
      signal.addEventListener("abort", withdraw, { once: true });
      this.#asked.set(id, {
        delayed,
        resolve(program) {
          settled();
          resolve(program);
        },
        reject(error) {
          settled();
          reject(error);
        },
      });
      slot.transfer(); // the slot now belongs to the monitor, as the program does
      this.channel.sendFrame(frame);
    });
  }

  /** Asks for a program with pipes that are here already, and does not wait for an answer. */
  async #run(
    id: number,
    described: Omit<MessageOf<"RUN">, "kind" | "id" | "pipes">,
    { number: pipes, fds }: Ahead,
    slot: ConnectionSlot,
  ): Promise<Program> {
    let program: RemoteProgram;
    let frame: Uint8Array;
    try {
      frame = this.#encode({ kind: "RUN", id, pipes, ...described });
      program = new RemoteProgram(this.channel, id, 0, this.runtime.adoptEnds(fds));
    } catch (error) {
      closeAll(this.channel.libc, fds); // the monitor closes the other ends
      throw error;
    }
    this.#running.set(id, program);
    slot.transfer(); // the slot now belongs to the monitor, as the program does
    this.channel.sendFrame(frame);
    return program;
  }

  /** The slot stays with this worker: no message is sent. */
  hold(slot: ConnectionSlot, handler: ConnectionHandler, facts: HandlerFacts): Program {
    return occupy(slot, handler.start(facts));
  }

  /** Encodes a START or RUN. If a peer has made it too large, only this connection fails, not the
   *  worker. */
  #encode(message: WorkerMessage): Uint8Array {
    try {
      return this.channel.ours.encode(message);
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error;
      throw new Error(`unable to ask for a program: ${error.message}`);
    }
  }

  /** The monitor has gone or is about to go: later ends of programs will not be known. `settled`: it
   *  has started all programs that were asked for. */
  orphan(settled = false): void {
    this.#count = undefined;
    for (const asked of this.#asked.values()) {
      if (asked !== "withdrawn") asked.reject(refusal(ORPHANED));
    }
    this.#asked.clear();
    this.#passing?.();
    this.#passing = undefined;
    this.#slots.fail(refusal(ORPHANED));
    for (const program of this.#running.values()) {
      program.orphaned(settled ? undefined : refusal(ORPHANED));
    }
    this.#running.clear();
    this.#ahead?.close();
    this.#changed();
  }

  /** STARTED, with the worker's ends of the pipes. Throws `DecodeError`, as the other handlers
   *  do. */
  started(message: MessageOf<"STARTED">): void {
    const { id, pid, delayed } = message;
    const withdrawn = this.#asked.get(id) === "withdrawn";
    const ends = this.#takeEnds(delayed ? PIPE_ENDS.delayed : PIPE_ENDS.plain, withdrawn);
    const asked = this.#answered(id);
    this.slots(message);
    if (asked === "withdrawn" || !ends) return;
    if (ends instanceof Error) {
      asked.reject(refusal(`unable to take the pipes of program ${pid}: ${reason(ends)}`));
      return;
    }
    const program = new RemoteProgram(this.channel, id, pid, ends, message.running);
    this.#running.set(id, program);
    asked.resolve(program);
  }

  /** REFUSED. */
  refused(message: MessageOf<"REFUSED">): void {
    const { id, why } = message;
    const program = this.#running.get(id);
    if (program) {
      this.#running.delete(id);
      this.slots(message);
      return program.refused(refusal(why));
    }
    const asked = this.#answered(id);
    this.slots(message);
    if (asked !== "withdrawn") asked.reject(refusal(why));
  }

  /** RUNS. */
  runs({ id, pid }: MessageOf<"RUNS">): void {
    this.#running.get(id)?.runs(pid);
  }

  /** PIPES. Throws `DecodeError`. */
  prepared(message: MessageOf<"PIPES">): void {
    if (!this.#ahead) throw new DecodeError("privsep: pipes: not requested at byte 0");
    this.#ahead.came(message);
  }

  /** EXITED. */
  exited(message: MessageOf<"EXITED">): void {
    const { id, pid, status } = message;
    const program = this.#running.get(id);
    this.slots(message);
    program?.runs(pid);
    program?.ended(status);
    this.#running.delete(id);
  }

  /** SLOTS, and the last fields of the other messages. */
  slots({ running, full, wanted, granted }: SlotCounts): void {
    this.#count = running;
    this.#none = full;
    this.#wanted = Math.max(0, this.#wanted - granted);
    this.#slots.add(granted);
    if (wanted) this.#pass();
    else if (this.#passing) {
      this.#passing();
      this.#passing = undefined;
    }
  }

  #answered(id: number): Asked | "withdrawn" {
    const asked = this.#asked.get(id);
    if (!asked) throw new DecodeError(`privsep: id: ${id} was not requested at byte 0`);
    this.#asked.delete(id);
    return asked;
  }

  /** Returns the slots that are not used here: free ones now, and others as they become free, after
   *  all handshakes that wait here. */
  #pass(): void {
    const count = this.#slots.remove(Infinity);
    if (count > 0) this.channel.send({ kind: "RETURN", count });
    this.#passing ??= this.#slots.wait({
      give: (slot) => {
        this.#passing = undefined;
        slot.transfer();
        this.channel.send({ kind: "RETURN", count: 1 });
        this.#pass();
      },
      fail() {},
    });
  }

  /** Takes the worker's ends of a program's pipes; undefined if the START was withdrawn. If this
   *  process has no room for them, only this start fails. In both cases the program reads end of
   *  file. */
  #takeEnds(count: number, withdrawn: boolean): ProgramStreams | Error | undefined {
    let fds: readonly number[] = [];
    try {
      fds = this.channel.descriptors(count);
      if (!withdrawn) return this.runtime.adoptEnds(fds);
      closeAll(this.channel.libc, fds);
      return undefined;
    } catch (error) {
      if (error instanceof DecodeError) throw error;
      closeAll(this.channel.libc, fds);
      return error as Error;
    }
  }
}
