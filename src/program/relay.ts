/** Stage 5: both directions between client and program, until both are done.
 *
 *  Back-pressure: a side that does not take is a side from which nothing is read. Half-close: the
 *  client's end of data is end of file for the program, whose output still flows; the program's
 *  end of output is close_notify and FIN for the client. Nobody waits longer than the idle limit. */

import type { Connection } from "../connection.ts";
import type { IdleWatch, Watched } from "./idle.ts";
import type { Leaver, Lingering } from "./linger.ts";
import type { Traffic } from "../metrics/observer.ts";
import { type Sink, type Source, type Stream, TlsError } from "../runtime/runtime.ts";

export interface Relay {
  /** The program's wait status (undefined: not known), when the program has been reaped and its output has been handed to
   *  the system or cannot be delivered any more. The client's side may linger (linger.ts). Never, if
   *  the relay was stopped. */
  readonly status: Promise<number | undefined>;
  /** Leaves both streams as they are, paused, for somebody else to take over. */
  stop(): void;
}

/** What is between the program and us: its fd 0 and 1, or the pair for TLS (UCSPI-TLS). */
export interface ProgramEnds {
  readonly input: Sink;
  readonly output: Source;
  readonly exited: Promise<number | undefined>;
  kill(signal: "SIGTERM"): boolean;
}

export interface RelayOptions {
  /** Looks after silent connections (-w). */
  idle: IdleWatch;
  /** Looks after clients that are to close, or to take what is left for them. */
  lingering: Lingering;
  /** The connection below `channel`: to tell a slow reader from a dead one, and to hear when the server
   *  gives it up, of which `channel` says nothing. */
  conn: Pick<Connection, "socket" | "onGivenUp">;
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
export function relay(channel: Stream, program: ProgramEnds, options: RelayOptions): Relay {
  const one = new Relaying(channel, program, options);
  one.begin(options.banner);
  return one;
}

const nothing = (): void => {};

/** Small, since thousands of them may be idle. */
class Relaying implements Relay, Watched, Leaver {
  readonly status: Promise<number | undefined>;
  readonly #resolve: (status: number | undefined) => void;
  readonly #channel: Stream;
  readonly #program: ProgramEnds;
  readonly #conn: RelayOptions["conn"];
  readonly #idle: IdleWatch;
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

  constructor(channel: Stream, program: ProgramEnds, options: RelayOptions) {
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.status = promise;
    this.#resolve = resolve;
    this.#channel = channel;
    this.#program = program;
    this.#conn = options.conn;
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
    channel.onData = (chunk) => this.#fromClient(chunk);
    channel.onEnd = (cut) => this.#clientEnded(cut);
    channel.onDrain = () => this.#toClientAgain();
    channel.onClose = (error) => this.#loseClient(error);
    this.#conn.onGivenUp = () => this.#loseClient();
    input.onDrain = () => this.#toProgramAgain();
    // A program that does not read is no reason to keep the client from ending: go on and drop.
    input.onClose = () => channel.resume();
    output.onData = (chunk) => this.#fromProgram(chunk);
    output.onEnd = () => this.#outputEnded();
    output.onClose = (error) => error && this.#outputEnded();
    exited.then((status) => this.#exited(status));
    if (channel.gone) queueMicrotask(() => this.#loseClient(channel.failure));
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

  #fromClient(chunk: Uint8Array): void {
    this.#touch();
    this.#traffic.received += chunk.length;
    if (!this.#program.input.write(chunk, true)) this.#channel.pause();
  }

  #toProgramAgain(): void {
    this.#touch();
    this.#channel.resume();
  }

  #clientEnded(cut = false): void {
    this.#touch();
    // After our own close_notify many send none.
    if (cut && !this.#outputDone) this.#client.cut();
    this.#program.input.end();
  }

  #fromProgram(chunk: Uint8Array): void {
    this.#touch();
    this.#traffic.sent += chunk.length;
    if (this.#channel.write(chunk, true)) return;
    this.full = true;
    this.#program.output.pause();
  }

  #toClientAgain(): void {
    this.#touch();
    this.full = false;
    this.#program.output.resume();
  }

  #outputEnded(): void {
    this.#touch();
    this.#outputDone = true;
    this.#channel.end();
    this.#finish();
  }

  #exited(status: number | undefined): void {
    this.#wait = status;
    this.#reaped = true;
    // Its place is free: what is left of its output must not stay for as long as a client likes.
    if (!this.#outputDone && !this.#stopped) this.#lingering.add(this);
    this.#finish();
  }

  /** Nothing can reach the client any more: end of file for the program, EPIPE if it writes on. */
  #loseClient(error?: Error): void {
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
    const channel = this.#channel;
    channel.onData = channel.onDrain = channel.onEnd = nothing;
    channel.end();
    channel.resume();
    this.#lingering.add(this);
  }

  /** See `Leaver`. */
  get sent(): boolean {
    return this.#leaving;
  }

  /** See `Leaver`. */
  unsent(): number | undefined {
    return this.#conn.socket.unacknowledged();
  }

  /** See `Leaver`. */
  dismiss(taken: boolean): void {
    if (taken) this.#channel.close();
    else this.#channel.destroy();
    this.#loseClient();
  }

  /** See `Watched`. */
  silent(): void {
    // A reader that takes a byte now and then keeps the connection, though we see no progress
    // while the system's buffer is full.
    const unsent = this.#clientGone ? 0 : this.#conn.socket.unacknowledged() ?? 0;
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
    const channel = this.#channel;
    const { input, output } = this.#program;
    channel.pause();
    output.pause();
    this.#conn.onGivenUp = nothing;
    channel.onData =
      channel.onEnd =
      channel.onDrain =
      channel.onClose =
        nothing;
    output.onData =
      output.onEnd =
      output.onClose =
      input.onDrain =
      input.onClose =
        nothing;
  }
}
