/** Starts programs when a worker asks for them. Everything that controls a program is the
 *  monitor's: the command, its user, the environment of the start and the variables that rules set.
 *  A worker adds what it knows of the connection. */

import { DecodeError } from "../../codec/bytes.ts";
import type { Options } from "../../config/options.ts";
import { FatalError, reason } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { programEnvironment } from "../../program/environment.ts";
import { watchEnd } from "../../program/program_end.ts";
import type { Slot, Slots } from "../../program/slots.ts";
import { abortError, ConnectionError } from "../../reason.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { closeAll, programDescriptors, programPipes } from "../../runtime/program_pipes.ts";
import type { Launched, Runtime } from "../../runtime/runtime.ts";
import type { MessageOf, SlotCounts } from "../messages.ts";
import type { AccessRequests, RuledProgram } from "./access_requests.ts";
import type { Grants } from "./grants.ts";
import { programUser } from "./program_user.ts";
import { checkVariables, memoryOf, without } from "./program_variables.ts";
import type { RulesHistory } from "./rules_history.ts";
import type { Worker } from "./worker_handle.ts";

/** Maximum number of programs of one worker: more than it can have descriptors for. */
const MAX_PROGRAMS = 1 << 20;
/** Limits for the waiting starts of one worker: their number, added to -c and --pending, and the
 *  total size of their variables. Further starts are refused, so that a worker cannot fill our
 *  memory. */
const MORE_WAITING = 1024;
const MAX_WAITING_SIZE = 64 << 20;
/** Bytes for each connection that -c and --pending allow: 60 variables and a certificate. The limit
 *  is their sum, if that is more than `MAX_WAITING_SIZE`. */
const WAITING_SIZE = 20_000;
const TOO_MANY = "unable to start a program: too many connections are waiting for one";

/** The end of a program, or of a request for one. */
type Answer =
  | Omit<MessageOf<"EXITED">, keyof SlotCounts>
  | Omit<MessageOf<"REFUSED">, keyof SlotCounts>;

const UNRULED: RuledProgram = { variables: new Map() };

/** What a worker tells of a connection. */
type Described = Omit<MessageOf<"RUN">, "kind" | "id" | "pipes">;

/** A program to start. */
interface PreparedProgram extends RuledProgram {
  /** RUN: its ends of the pipes, until it has them. */
  readonly ends: number[] | undefined;
  /** The variables that this connection adds to the environment of every program. */
  readonly env: Record<string, string>;
}

export interface StartsOptions {
  options: Options;
  /** Variables that every program gets. */
  base: Readonly<Record<string, string>>;
  runtime: Runtime;
  libc: Libc;
  slots: Slots;
  grants: Grants;
  rules: RulesHistory;
  access: AccessRequests;
  log: Log;
}

export class ProgramStarts {
  /** True: no more programs are started. */
  over = false;
  /** Undefined if a handler serves in place of a program. */
  readonly #user: ReturnType<typeof programUser> | undefined;
  readonly #names = new Set<string>();
  /** Programs that the system does not allow us to signal: logged once for each. */
  readonly #unkillable = new WeakSet<Launched>();
  readonly #maxWaiting: number;
  readonly #maxSize: number;

  constructor(readonly o: StartsOptions) {
    const connections = o.options.concurrency + o.options.pending;
    this.#maxWaiting = connections + MORE_WAITING;
    this.#maxSize = Math.max(MAX_WAITING_SIZE, connections * WAITING_SIZE);
    if (!o.options.handler) this.#user = programUser(o.options, o.runtime, o.base);
  }

  /** Answers START. Throws `DecodeError` for an invalid request. If the worker has a slot it starts
   *  the program without a promise: this is the common case. */
  request(worker: Worker, request: MessageOf<"START">): void {
    const { id } = request;
    this.#check(worker, request, request.delayed);
    const program = this.#admit(worker, request);
    if (!program) return;
    const slot = worker.channel.backedUp ? undefined : this.o.grants.takeSlot(worker);
    if (!slot) return void this.#startLater(worker, id, program);
    let cancelled: ConnectionError | undefined;
    worker.waiting.set(id, { abort: (why) => cancelled = new ConnectionError(why) });
    // A CANCEL may have arrived with the request.
    queueMicrotask(() => {
      worker.waiting.delete(id);
      const later = worker.channel.backedUp;
      if (cancelled === undefined && !later) return this.#start(worker, id, program, slot);
      if (cancelled === undefined) void this.#startLater(worker, id, program, slot);
      else this.#refuse(worker, id, cancelled, slot);
    });
  }

  /** Answers PREPARE. */
  prepare(worker: Worker): void {
    if (!this.#user || this.o.options.delayed) {
      throw new DecodeError("privsep: prepare: no program can use such pipes at byte 0");
    }
    // A worker that does not read gets none.
    const { first, mine } = worker.channel.backedUp ? { first: 0, mine: [] } : worker.ahead.make();
    worker.channel.send({ kind: "PIPES", first, count: mine.length / 2 }, mine);
  }

  /** Answers RUN. The worker does not wait for an answer, so it cannot withdraw the request. Throws
   *  `DecodeError`. */
  run(worker: Worker, request: MessageOf<"RUN">): void {
    this.#check(worker, request, false);
    const program = this.#admit(worker, request, worker.ahead.take(request.pipes));
    if (!program) return;
    const slot = this.o.grants.takeSlot(worker);
    if (slot) this.#start(worker, request.id, program, slot);
    else void this.#startLater(worker, request.id, program);
  }

  /** Answers IDENTIFY. */
  identify(worker: Worker, id: number): void {
    const program = worker.programs.get(id);
    if (program) worker.channel.send({ kind: "RUNS", id, pid: program.pid });
  }

  /** Throws `DecodeError` for an invalid request. */
  #check(
    worker: Worker,
    { id, variables }: Pick<MessageOf<"RUN">, "id" | "variables">,
    delayed: boolean,
  ): void {
    if (!this.#user) throw new DecodeError("privsep: start: there is no program at byte 0");
    worker.checkStart(id, worker.programs.size < MAX_PROGRAMS);
    if (delayed !== this.o.options.delayed) {
      throw new DecodeError(`privsep: delayed: ${delayed}, which does not match -n at byte 0`);
    }
    checkVariables(variables, this.#names);
  }

  /** Returns the program to start; undefined if it was refused. `ends`: of RUN. */
  #admit(
    worker: Worker,
    request: Described & { readonly id: number },
    ends?: number[],
  ): PreparedProgram | undefined {
    const { id } = request;
    try {
      // Checked before any look-up: a refusal must be cheap.
      if (worker.waiting.size >= this.#maxWaiting) throw new Error(TOO_MANY);
      return this.#prepare(request, ends);
    } catch (error) {
      this.#refuse(worker, id, error, this.o.grants.takeSlot(worker), ends);
      return undefined;
    }
  }

  /** Answers KILL. */
  kill(worker: Worker, id: number, signal: "SIGTERM" | "SIGKILL"): void {
    const program = worker.programs.get(id);
    if (!program || program.kill(signal) || this.#unkillable.has(program)) return;
    this.#unkillable.add(program);
    this.o.log.error(`unable to signal pid ${program.pid}: it now runs as another user`);
  }

  async #startLater(
    worker: Worker,
    id: number,
    program: PreparedProgram,
    had?: Slot,
  ): Promise<void> {
    const size = memoryOf(program.env);
    if (worker.waitingSize + size > this.#maxSize) {
      return this.#refuse(worker, id, TOO_MANY, had, program.ends);
    }
    const cancel = new AbortController();
    worker.waiting.set(id, cancel);
    worker.waitingSize += size;
    let slot = had;
    try {
      // Skips a worker that has not read earlier descriptors, and one that has ended meanwhile.
      do {
        slot?.release();
        await worker.channel.clear();
        slot = this.o.grants.takeSlot(worker) ??
          (await this.o.slots.take(cancel.signal)).secureNow();
        if (cancel.signal.aborted) throw abortError(cancel.signal);
      } while (worker.channel.backedUp);
    } catch (error) {
      return this.#refuse(worker, id, error, slot, program.ends);
    } finally {
      worker.waiting.delete(id);
      worker.waitingSize -= size;
    }
    this.#start(worker, id, program, slot);
    if (program.ends) this.identify(worker, id); // IDENTIFY may have come before
  }

  #start(
    worker: Worker,
    id: number,
    program: PreparedProgram,
    slot: Slot,
  ): void {
    const { channel, programs } = worker;
    const { delayed } = this.o.options;
    try {
      if (!channel.open || this.over) {
        throw new Error("unable to start a program: the server is ending");
      }
      const { launched, mine } = this.#launch(program, delayed);
      slot.run();
      programs.set(id, launched);
      const { pid } = launched;
      launched.exited.then((status = 0) => {
        programs.delete(id);
        this.#answer(worker, { kind: "EXITED", id, pid, status }, slot);
      });
      if (program.ends) return;
      channel.send({ kind: "STARTED", id, pid, delayed, ...this.o.grants.counts() }, mine);
    } catch (error) {
      this.#refuse(worker, id, error, slot, program.ends);
    }
  }

  /** `ends`: of RUN, and no program has them. */
  #refuse(
    worker: Worker,
    id: number,
    error: unknown,
    slot: Slot | undefined,
    ends: number[] = [],
  ): void {
    this.#answer(worker, { kind: "REFUSED", id, why: reason(error) }, slot);
    closeAll(this.o.libc, ends.splice(0));
  }

  /** Sends an answer after which `slot` is not in use. */
  #answer(worker: Worker, answer: Answer, slot: Slot | undefined): void {
    const { grants } = this.o;
    const granted = slot ? grants.programEnded(worker, slot) : 0;
    worker.channel.send({ ...answer, ...grants.counts(granted) });
  }

  /** The monitor evaluates the rules itself: s6's access rules always, other rules if the worker
   *  says that they set variables. Throws `FatalError` if they deny the peer. */
  #prepare(request: Described, ends: number[] | undefined): PreparedProgram {
    const { access, rules, libc, options: { delayed } } = this.o;
    const { variables, command } = access.program(request) ??
      (request.ruled ? { variables: rules.variables(request) } : UNRULED);
    const { variables: own } = request;
    const env = programEnvironment({}, { variables: own, delayed }, variables, libc);
    return { env, variables, command, ends };
  }

  #launch(
    { env, variables, command = this.o.options.command, ends }: PreparedProgram,
    delayed: boolean,
  ): { launched: Launched; mine: number[] } {
    const { runtime, libc } = this.o;
    const { mine, theirs } = ends
      ? { mine: [], theirs: ends.splice(0) }
      : programPipes(libc, delayed);
    try {
      const descriptors = programDescriptors(theirs);
      const base = without(this.o.base, variables);
      const launched = runtime.launch({ ...this.#user!(env, command), base, descriptors });
      return { launched: watchEnd(launched, this.o), mine };
    } catch (error) {
      closeAll(libc, mine);
      throw new FatalError(`unable to run ${command[0]}: ${reason(error)}`);
    } finally {
      closeAll(libc, theirs);
    }
  }
}
