/** Starts programs when a worker asks for them. Everything that controls a program is the
 *  monitor's: the command, its user, the environment of the start and the variables that rules set.
 *  A worker adds what it knows of the connection. */

import { DecodeError } from "../../codec/bytes.ts";
import type { Options } from "../../config/options.ts";
import { isFromWorker, type RuleVariables } from "../../config/variables.ts";
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
/** Bytes that a variable needs beyond its characters, as measured: two strings and a table
 *  entry. */
const VARIABLE = 160;

const TOO_MANY = "unable to start a program: too many connections are waiting for one";

/** The end of a program, or of a request for one. */
type Answer =
  | Omit<MessageOf<"EXITED">, keyof SlotCounts>
  | Omit<MessageOf<"REFUSED">, keyof SlotCounts>;

const UNRULED: RuledProgram = { variables: new Map() };

/** A program to start. */
interface PreparedProgram extends RuledProgram {
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
    const { id, delayed } = request;
    if (!this.#user) throw new DecodeError("privsep: start: there is no program at byte 0");
    worker.checkStart(id, worker.programs.size < MAX_PROGRAMS);
    if (delayed !== this.o.options.delayed) {
      throw new DecodeError(`privsep: delayed: ${delayed}, which does not match -n at byte 0`);
    }
    checkVariables(request.variables, this.#names);
    // Checked before any look-up: a refusal must be cheap.
    if (worker.waiting.size >= this.#maxWaiting) {
      return this.#refuse(worker, id, TOO_MANY, this.o.grants.takeSlot(worker));
    }
    let program: PreparedProgram;
    try {
      program = this.#prepare(request);
    } catch (error) {
      return this.#refuse(worker, id, error, this.o.grants.takeSlot(worker));
    }
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
    const size = sizeOf(program.env);
    if (worker.waitingSize + size > this.#maxSize) return this.#refuse(worker, id, TOO_MANY, had);
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
      return this.#refuse(worker, id, error, slot);
    } finally {
      worker.waiting.delete(id);
      worker.waitingSize -= size;
    }
    this.#start(worker, id, program, slot);
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
      launched.exited.then((status = 0) => {
        programs.delete(id);
        this.#answer(worker, { kind: "EXITED", id, status }, slot);
      });
      const { pid } = launched;
      channel.send({ kind: "STARTED", id, pid, delayed, ...this.o.grants.counts() }, mine);
    } catch (error) {
      this.#refuse(worker, id, error, slot);
    }
  }

  #refuse(worker: Worker, id: number, error: unknown, slot?: Slot): void {
    this.#answer(worker, { kind: "REFUSED", id, why: reason(error) }, slot);
  }

  /** Sends an answer after which `slot` is not in use. */
  #answer(worker: Worker, answer: Answer, slot: Slot | undefined): void {
    const { grants } = this.o;
    const granted = slot ? grants.programEnded(worker, slot) : 0;
    worker.channel.send({ ...answer, ...grants.counts(granted) });
  }

  /** The monitor evaluates the rules itself: s6's access rules always, other rules if the worker
   *  says that they set variables. Throws `FatalError` if they deny the peer. */
  #prepare(request: MessageOf<"START">): PreparedProgram {
    const { access, rules, libc } = this.o;
    const { variables, command } = access.program(request) ??
      (request.ruled ? { variables: rules.variables(request) } : UNRULED);
    return { env: programEnvironment({}, request, variables, libc), variables, command };
  }

  #launch(
    { env, variables, command = this.o.options.command }: PreparedProgram,
    delayed: boolean,
  ): { launched: Launched; mine: number[] } {
    const { runtime, libc } = this.o;
    const { mine, theirs } = programPipes(libc, delayed);
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

/** Returns `base` without the variables that rules remove. Returns the same object if there are
 *  none, because libc caches its conversion. */
function without(
  base: Readonly<Record<string, string>>,
  variables: RuleVariables,
): Readonly<Record<string, string>> {
  let left: Record<string, string> | undefined;
  for (const [name, value] of variables) {
    if (value !== undefined || !Object.hasOwn(base, name)) continue;
    left ??= Object.fromEntries(Object.entries(base));
    delete left[name];
  }
  return left ?? base;
}

function sizeOf(env: Readonly<Record<string, string>>): number {
  let size = 0;
  for (const name in env) size += VARIABLE + name.length + (env[name]?.length ?? 0);
  return size;
}

/** Maximum number of names that are kept as valid, so that they are not checked again. */
const MAX_KNOWN = 512;

/** A worker may set variables that describe a connection. It may set none that control a program:
 *  LD_PRELOAD, PATH, or the descriptors of UCSPI-TLS, which the monitor sets. A name has only
 *  letters, digits and underscores, because programs split and print names. Throws
 *  `DecodeError`. */
function checkVariables(variables: ReadonlyMap<string, string>, known: Set<string>): void {
  for (const name of variables.keys()) {
    if (known.has(name)) continue;
    if (!/^[A-Za-z0-9_]+$/.test(name) || !isFromWorker(name)) {
      throw new DecodeError("privsep: variable: not one that a worker may set at byte 0");
    }
    if (known.size < MAX_KNOWN) known.add(name);
  }
}
