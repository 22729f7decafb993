/** Stage 5: both directions between client and program, until both are done.
 *
 *  Back-pressure: a side that does not take is a side from which nothing is read. Half-close: the
 *  client's end of data is end of file for the program, whose output still flows; the program's
 *  end of output is close_notify and FIN for the client. Nobody waits longer than the idle limit. */

import type { IdleTimer, Watched } from "./idle.ts";
import type { Lingering, LingeringClient } from "./linger.ts";
import type { Traffic } from "../metrics/observer.ts";
import { type Socket, TlsError } from "../runtime/runtime.ts";
import {
  NO_HANDLER,
  type Sink,
  type Source,
  type Stream,
  type StreamHandler,
} from "../runtime/stream.ts";

export interface Relay {
  /** The program's wait status (undefined: not known), when the program has been reaped and its output has been handed to
   *  the system or cannot be delivered any more. The client's side may linger (linger.ts). Never, if
   *  the relay was stopped. */
  readonly status: Promise<number | undefined>;
  /** Leaves both streams as they are, paused, for somebody else to take over. */
  stop(): void;
}

/** What is between the program and us: its fd 0 and 1, or the pair for TLS (UCSPI-TLS). */
export interface RelayedProgram {
  readonly input: Sink;
  readonly output: Source;
  readonly exited: Promise<number | undefined>;
  kill(signal: "SIGTERM"): boolean;
}

export interface RelayOptions {
  /** Looks after silent connections (-w). */
  idle: IdleTimer;
  /** Looks after clients that are to close, or to take what is left for them. */
  lingering: Lingering;
  /** The socket below `channel`: to tell a slow reader from a dead one. */
  socket: Pick<Socket, "unacknowledged">;
  /** Written to the client first (-B). */
  banner?: string | undefined;
  /** Counts the bytes of both directions. */
  traffic: Traffic;
  client: ClientEvents;
}

/** Is told how the client's side ends. */
export interface ClientEvents {
  /** It has broken TLS. */
  broken(error: TlsError): void;
  /** Its data ended with a FIN and no close_notify. */
  cut(): void;
  /** It is closed and its descriptor free. Exactly once. */
  gone(): void;
}

/** Begins relaying at once. */
export function relay(channel: Stream, program: RelayedProgram, options: RelayOptions): Relay {
  const one = new Relaying(channel, program, options);
  one.begin(options.banner);
  return one;
}

/** The owner of the client's stream. Small, since thousands of them may be idle. */
class Relaying implements Relay, StreamHandler, Watched, LingeringClient {
  readonly status: Promise<number | undefined>;
  readonly #resolve: (status: number | undefined) => void;
  readonly #channel: Stream;
  readonly #program: RelayedProgram;
  readonly #socket: RelayOptions["socket"];
  readonly #idle: IdleTimer;
  readonly #traffic: Traffic;
  readonly #lingering: Lingering;
  readonly #client: ClientEvents;
  last: number;
  /** The client takes no more for now. */
  full = false;
  #unacknowledged = 0;
  #clientGone = false;
  #outputDone = false;
  /** Nothing more is to come of the program: the client has to close. */
  #leaving = false;
  #reaped = false;
  #wait: number | undefined;
  #stopped = false;

  constructor(channel: Stream, program: RelayedProgram, options: RelayOptions) {
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.status = promise;
    this.#resolve = resolve;
    this.#channel = channel;
    this.#program = program;
    this.#socket = options.socket;
    this.#idle = options.idle;
    this.#traffic = options.traffic;
    this.#lingering = options.lingering;
    this.#client = options.client;
    this.last = this.#idle.now();
    this.#idle.add(this);
  }

  begin(text: string | undefined): void {
    const channel = this.#channel;
    const { input, output, exited } = this.#program;
    channel.take(this);
    input.take(new ProgramInput(this));
    output.take(new ProgramOutput(this));
    exited.then((status) => this.#exited(status));
    channel.resume();
    const banner = new TextEncoder().encode(text);
    this.#traffic.sent += banner.length;
    // A banner that fills the socket's buffer holds the output up like any other output.
    if (banner.length === 0 || channel.write(banner)) output.resume();
    else this.full = true;
  }

  #touch(): void {
    this.last = this.#idle.now();
  }

  /** See `StreamHandler`: the client's data. */
  data(chunk: Uint8Array): void {
    if (this.#leaving) return;
    this.#touch();
    this.#traffic.received += chunk.length;
    if (!this.#program.input.write(chunk, true)) this.#channel.pause();
  }

  /** Of `ProgramInput`: the program reads again. */
  inputDrained(): void {
    this.#touch();
    this.#channel.resume();
  }

  /** Of `ProgramInput`: the program does not read any more, which is no reason to keep the client from
   *  ending: what it sends is dropped. */
  inputClosed(): void {
    this.#channel.resume();
  }

  /** See `StreamHandler`: the client's end of data. */
  end(cut = false): void {
    if (this.#leaving) return;
    this.#touch();
    // After our own close_notify many send none.
    if (cut && !this.#outputDone) this.#client.cut();
    this.#program.input.end();
  }

  /** Of `ProgramOutput`. */
  output(chunk: Uint8Array): void {
    this.#touch();
    this.#traffic.sent += chunk.length;
    if (this.#channel.write(chunk, true)) return;
    this.full = true;
    this.#program.output.pause();
  }

  /** See `StreamHandler`: the client takes more again. */
  drain(): void {
    if (this.#leaving) return;
    this.#touch();
    this.full = false;
    this.#program.output.resume();
  }

  /** Of `ProgramOutput`. */
  outputEnded(): void {
    this.#touch();
    this.#outputDone = true;
    this.#channel.end();
    this.#finish();
  }

  #exited(status: number | undefined): void {
    this.#wait = status;
    this.#reaped = true;
    // Its slot is free: what is left of its output must not stay for as long as a client likes.
    if (!this.#outputDone && !this.#stopped) this.#lingering.add(this);
    this.#finish();
  }

  /** See `StreamHandler`: nothing can reach the client any more. End of file for the program, EPIPE if it
   *  writes on. */
  close(error?: Error): void {
    if (this.#clientGone || this.#stopped) return;
    this.#clientGone = true;
    // A client that has our close_notify may close as it likes.
    if (error instanceof TlsError && !(this.#outputDone && error.kind === "reset")) {
      this.#client.broken(error);
    }
    this.#lingering.forget(this);
    this.#client.gone();
    this.#endProgram();
  }

  /** End of file for the program, EPIPE if it writes on. */
  #endProgram(): void {
    this.#program.output.destroy(); // before the end of file, which a handler must not take for the client's
    this.#program.input.end();
    this.#outputDone = true;
    this.#finish();
  }

  /** Both the program and its output are done: the connection no longer counts for -c. */
  #finish(): void {
    if (!this.#reaped || !this.#outputDone || this.#stopped) return;
    this.#idle.forget(this);
    this.#program.input.destroy();
    this.#leave();
    this.#resolve(this.#wait);
  }

  /** The client has what is on its way to take, and to close. What it sends is dropped. Its end of data
   *  is no reason to close: output may still be on its way to a slow reader. */
  #leave(): void {
    if (this.#clientGone || this.#leaving) return;
    this.#leaving = true;
    this.#channel.end();
    this.#channel.resume();
    this.#lingering.add(this);
  }

  /** See `LingeringClient`. */
  get sent(): boolean {
    return this.#leaving;
  }

  /** See `LingeringClient`. */
  unsent(): number | undefined {
    return this.#socket.unacknowledged();
  }

  /** See `LingeringClient`. */
  dismiss(taken: boolean): void {
    if (taken) this.#channel.close();
    else this.#channel.destroy();
    this.close();
  }

  /** See `Watched`. */
  silent(): void {
    // A reader that takes a byte now and then keeps the connection, though we see no progress
    // while the system's buffer is full.
    const unsent = this.#clientGone ? 0 : this.#socket.unacknowledged() ?? 0;
    const progress = unsent !== this.#unacknowledged && unsent > 0;
    this.#unacknowledged = unsent;
    if (progress) return this.#touch();
    this.#idle.forget(this);
    this.#leave();
    this.#endProgram();
    if (this.#wait === undefined) this.#program.kill("SIGTERM"); // not reaped, or nobody knows
  }

  stop(): void {
    this.#stopped = true;
    this.#idle.forget(this);
    this.#lingering.forget(this);
    const { input, output } = this.#program;
    this.#channel.pause();
    output.pause();
    for (const end of [this.#channel, input, output]) end.take(NO_HANDLER);
  }
}

/** The owner of the program's fd 0. */
class ProgramInput implements StreamHandler {
  constructor(readonly relay: Relaying) {}

  drain(): void {
    this.relay.inputDrained();
  }

  close(): void {
    this.relay.inputClosed();
  }
}

/** The owner of the program's fd 1. */
class ProgramOutput implements StreamHandler {
  constructor(readonly relay: Relaying) {}

  data(chunk: Uint8Array): void {
    this.relay.output(chunk);
  }

  end(): void {
    this.relay.outputEnded();
  }

  /** In order it is closed after its end, or by us. */
  close(error?: Error): void {
    if (error) this.relay.outputEnded();
  }
}
