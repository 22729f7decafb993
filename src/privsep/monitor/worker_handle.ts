/** A worker, as the monitor sees it: its process, its channel, and what it has asked for. */

import type { LocalReservation } from "../../admit/limits.ts";
import { DecodeError } from "../../codec/bytes.ts";
import { type FatalError, reason } from "../../errors.ts";
import type { Reason } from "../../reason.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import type { Launched, Runtime } from "../../runtime/runtime.ts";
import { Channel, type ToWorker } from "../channel.ts";
import type { WorkerEnd } from "../counts.ts";
import { FROM_MONITOR, FROM_WORKER } from "../message_codec.ts";
import type { WorkerMessage } from "../messages.ts";
import { STATE_AFTER_DRAIN, type WorkerState } from "../worker_states.ts";
import { PreparedPipes } from "./prepared_pipes.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** Maximum number of CHECK messages for one connection. Only the early and the later rules set
 *  limits, so a few are enough. Each check may leave a rule's key in the monitor's memory. */
const MAX_CHECKS = 4;

/** Milliseconds for the messages of a worker that has ended. They are in the socket already. */
const LAST_MESSAGE_TIMEOUT = 1000;

/** Receives the messages and the end of a worker. */
export interface WorkerOwner {
  /** Handles a message. May throw: the worker has then broken the protocol. */
  message(message: WorkerMessage): void;
  /** The worker's process has ended. `words` continue a sentence that names the worker. Called
   *  once. */
  gone(end: WorkerEnd, words: string): void;
}

export class Worker {
  state: WorkerState = "starting";
  /** True once the worker has begun to serve. */
  served = false;
  /** `older`: the worker was handed earlier versions of some files; see kept_files.ts. `lost`: it
   *  had no room for some, which will be handed over again. */
  files: "current" | "older" | "lost" = "current";
  /** Number of messages with files that were sent to it. */
  filesSent = 0;
  /** Why the worker could not start, as it says itself. */
  fatal: FatalError | undefined;
  /** By the worker's ids: running programs, waiting starts, counted connections. */
  readonly programs = new Map<number, Launched>();
  readonly waiting = new Map<number, { abort(why: Reason): void }>();
  readonly reservations = new Map<
    number,
    { readonly reservation: LocalReservation; checks: number }
  >();
  /** Pipes for its next programs. */
  readonly ahead: PreparedPipes;
  /** Slots that the worker has been lent, and its requests for slots that wait (grants.ts). */
  granted = 0;
  readonly wants = new Set<{ stop(): void }>();
  /** Total size of the variables of the waiting starts. */
  waitingSize = 0;
  #lastStart = 0;
  #lastReservation = 0;
  #owner: WorkerOwner | undefined;
  #breach: string | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  /** Resolves when no more messages will come. */
  readonly #read = Promise.withResolvers<void>();

  /** Takes over a process and its sockets, unless it rejects. */
  static async of(
    index: number,
    { process, control, pass }: WorkerProcess,
    runtime: Runtime,
    libc: Libc,
  ): Promise<Worker> {
    const stream = await runtime.adoptSocket(control);
    const channel = new Channel(libc, stream, pass, FROM_MONITOR, FROM_WORKER);
    return new Worker(index, process, channel);
  }

  private constructor(
    readonly index: number,
    readonly launched: Launched,
    readonly channel: ToWorker,
  ) {
    this.ahead = new PreparedPipes(channel.libc);
    channel.take({
      message: (message) => this.#owner?.message(message),
      broken: (why) => {
        this.#read.resolve();
        this.giveUp(why);
      },
    });
    launched.exited.then(async (status = 0) => {
      if (this.state !== "ended" && !this.served) await this.#readLastMessage();
      this.state = "ended";
      channel.close();
      this.ahead.close();
      clearTimeout(this.#deadline);
      if (this.#breach) this.#owner?.gone("breach", `was ended: ${reason(this.#breach)}`);
      else if (status > 0 && status < 256) this.#owner?.gone("signal", `ended by signal ${status}`);
      else this.#owner?.gone("exit", `ended with ${status / 256}`);
    });
  }

  /** The news that a worker has ended can overtake its last message: FATAL, which says why it did not
   *  serve. */
  async #readLastMessage(): Promise<void> {
    const timer = setTimeout(() => this.#read.resolve(), LAST_MESSAGE_TIMEOUT);
    await this.#read.promise;
    clearTimeout(timer);
  }

  /** Makes `owner` receive all events from now on. */
  take(owner: WorkerOwner): void {
    this.#owner = owner;
  }

  get pid(): number {
    return this.launched.pid;
  }

  /** Resolves when its process has ended. */
  get ended(): Promise<unknown> {
    return this.launched.exited;
  }

  /** Why the monitor ended the worker; undefined if the monitor did not. */
  get breach(): string | undefined {
    return this.#breach;
  }

  /** Ends the worker. `why` is undefined if it has closed its channel itself. */
  giveUp(why: string | undefined): void {
    this.#breach ??= why;
    this.kill();
  }

  /** Ends the worker if `serves` is not called within `ms` milliseconds. */
  mustServe(ms: number): void {
    this.#deadline = setTimeout(() => this.giveUp(`it did not serve within ${ms / 1000} s`), ms);
  }

  serves(): void {
    this.served = true;
    clearTimeout(this.#deadline);
  }

  /** The server stops. A worker that does not serve yet is ended. */
  drain(): void {
    this.state = STATE_AFTER_DRAIN[this.state];
    if (this.state === "ended") this.kill();
    else this.channel.send({ kind: "DRAIN" });
  }

  kill(): void {
    this.state = "ended";
    this.launched.kill("SIGKILL");
  }

  /** Checks the id of a START: ids increase, so that none is used twice. Throws `DecodeError`. */
  checkStart(id: number, room: boolean): void {
    if (id <= this.#lastStart || !room) throw new DecodeError(`privsep: id: ${id} at byte 0`);
    this.#lastStart = id;
  }

  checkReservation(id: number, room: boolean): void {
    if (id <= this.#lastReservation || !room) {
      throw new DecodeError(`privsep: reservation: ${id} at byte 0`);
    }
    this.#lastReservation = id;
  }

  /** Returns a reservation that the worker has made. Throws `DecodeError`. */
  reservation(id: number): LocalReservation {
    return this.#reservation(id).reservation;
  }

  /** Returns a reservation for a CHECK message. Throws `DecodeError` if the worker has not made
   *  it, or has sent more than `MAX_CHECKS` of these messages for it. */
  reservationToCheck(id: number): LocalReservation {
    const held = this.#reservation(id);
    if (++held.checks > MAX_CHECKS) {
      throw new DecodeError(`privsep: reservation: ${id} checked too often at byte 0`);
    }
    return held.reservation;
  }

  #reservation(id: number): { readonly reservation: LocalReservation; checks: number } {
    const held = this.reservations.get(id);
    if (!held) throw new DecodeError(`privsep: reservation: ${id} is unknown at byte 0`);
    return held;
  }
}
