/** A worker, as the monitor sees it: its process, its channel, and what it has asked for. */

import type { LocalHold } from "../admit/limits.ts";
import { DecodeError } from "../codec/bytes.ts";
import { type FatalError, reason } from "../errors.ts";
import type { Libc } from "../runtime/libc.ts";
import { closeAll } from "../runtime/program_pipes.ts";
import type { Launched, Runtime, SelfCommand } from "../runtime/runtime.ts";
import { Channel } from "./channel.ts";
import { type WorkerMessage, workerMessage } from "./messages.ts";

export type WorkerState = "starting" | "serving" | "draining";

/** The command name under which a worker runs (cli.ts). */
export const WORKER_COMMAND = "sslserver-worker";

export class Worker {
  state: WorkerState = "starting";
  /** It has the listening socket. */
  listening = false;
  /** Why it could not start, in its own words. */
  fatal: FatalError | undefined;
  /** May throw: the worker has broken the protocol. */
  onMessage: (message: WorkerMessage) => void = () => {};
  /** Its process has ended; `why` goes with "it". Exactly once. */
  onGone: (why: string) => void = () => {};
  /** By the worker's ids: programs that run, starts that wait, connections that are counted. */
  readonly programs = new Map<number, Launched>();
  readonly waiting = new Map<number, AbortController>();
  readonly holds = new Map<number, LocalHold>();
  #lastStart = 0;
  #lastHold = 0;
  #breach: string | undefined;
  /** It has been let go: what becomes of it is its own business. */
  #left = false;

  /** Starts one: fd 0 and 1 lead nowhere, 2 is the log, 3 and 4 come to us. */
  static async start(
    slot: number,
    runtime: Runtime,
    libc: Libc,
    self: SelfCommand,
  ): Promise<Worker> {
    const [control, theirControl] = libc.socketpair("stream");
    const [pass, theirPass] = libc.socketpair("stream");
    const nowhere = libc.open("/dev/null");
    const theirs = [theirControl, theirPass, nowhere];
    let launched: Launched;
    try {
      launched = runtime.launch({
        command: [...self.command, "--as", WORKER_COMMAND],
        argv0: "sslserver",
        env: self.env,
        descriptors: [nowhere, nowhere, 2, theirControl, theirPass],
      });
    } catch (error) {
      closeAll(libc, [control, pass]);
      throw error;
    } finally {
      closeAll(libc, theirs);
    }
    const stream = await runtime.adoptSocket(control);
    return new Worker(slot, launched, new Channel(libc, stream, pass, "worker"));
  }

  private constructor(
    readonly slot: number,
    readonly launched: Launched,
    readonly channel: Channel,
  ) {
    channel.onFrame = (kind, body) => this.onMessage(workerMessage(kind, body));
    channel.onBroken = (why) => {
      this.#breach = why;
      this.kill();
    };
    launched.exited.then((status = 0) => {
      channel.close();
      if (this.#left) return;
      this.onGone(this.#breach ? `was ended: ${reason(this.#breach)}` : words(status));
    });
  }

  get pid(): number {
    return this.launched.pid;
  }

  kill(): void {
    this.launched.kill("SIGKILL");
  }

  /** Ends its connections, if it is draining. */
  terminate(): void {
    this.launched.kill("SIGTERM");
  }

  /** It needs us no more. */
  leave(): void {
    this.#left = true;
  }

  /** Ids grow, so that none is used twice. Throws `DecodeError`. */
  count(id: number, room: boolean): void {
    if (id <= this.#lastStart || !room) throw new DecodeError(`privsep: id: ${id} at byte 0`);
    this.#lastStart = id;
  }

  countHold(id: number, room: boolean): void {
    if (id <= this.#lastHold || !room) throw new DecodeError(`privsep: hold: ${id} at byte 0`);
    this.#lastHold = id;
  }

  /** One that it has taken. Throws `DecodeError`. */
  hold(id: number): LocalHold {
    const hold = this.holds.get(id);
    if (!hold) throw new DecodeError(`privsep: hold: ${id} is none at byte 0`);
    return hold;
  }
}

function words(status: number): string {
  return status < 256 && status > 0 ? `ended by signal ${status}` : `ended with ${status / 256}`;
}
