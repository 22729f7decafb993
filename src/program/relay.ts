/** Stage 5: both directions between client and program, until both are done.
 *
 *  Back-pressure: while one side does not accept data, the other side is not read. Half-close: the
 *  client's end of data is end of file for the program, whose output still flows; the program's
 *  end of output is close_notify and FIN for the client. The idle limit ends a relay without
 *  traffic. */

import type { ClientEvents } from "./client_events.ts";
import type { IdleTimer, Watched } from "./idle.ts";
import type { Lingering, LingeringClient } from "./linger.ts";
import { type ProgramEvents, ProgramInput, ProgramOutput } from "./program_ends.ts";
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
  /** The program's wait status; undefined if it is not known. Resolves when the program has been
   *  reaped and its output has been handed to the system or cannot be delivered any more. The
   *  client's side may linger after that (linger.ts). Never resolves if the relay was stopped.
   *  Rejects if the program could not be started; then the client gets no close_notify. */
  readonly status: Promise<number | undefined>;
  /** Stops relaying. Pauses both streams and leaves them open and without an owner, so that other
   *  code can take them over. */
  stop(): void;
}

/** The program's side of a relay: its descriptors 0 and 1, or its pair for TLS (UCSPI-TLS). */
export interface RelayedProgram {
  readonly input: Sink;
  readonly output: Source;
  /** Rejects if the program could not be started after all. */
  readonly exited: Promise<number | undefined>;
  /** See `RunningProgram.identified`. */
  identified?(): Promise<void> | undefined;
  kill(signal: "SIGTERM"): boolean;
}

export interface RelayOptions {
  /** Ends connections without traffic (-w). */
  idle: IdleTimer;
  /** Limits how long clients may take to read the remaining output and to close. */
  lingering: Lingering;
  /** The socket below `channel`, to distinguish a slow reader from a dead one. */
  socket: Pick<Socket, "unacknowledged">;
  /** Written to the client first (-B). */
  banner?: string | undefined;
  /** Counts the bytes of both directions. */
  traffic: Traffic;
  client: ClientEvents;
}

/** Relays between `channel`, the client's side, and `program`. Begins at once. */
export function relay(channel: Stream, program: RelayedProgram, options: RelayOptions): Relay {
  const one = new Relaying(channel, program, options);
  one.begin(options.banner);
  return one;
}

/** A relay, which owns the client's stream. Kept small, because thousands may be idle. */
class Relaying implements Relay, ProgramEvents, StreamHandler, Watched, LingeringClient {
  readonly status: Promise<number | undefined>;
  readonly #resolve: (status: number | undefined | Promise<never>) => void;
  readonly #channel: Stream;
  readonly #program: RelayedProgram;
  readonly #socket: RelayOptions["socket"];
  readonly #idle: IdleTimer;
  readonly #traffic: Traffic;
  readonly #lingering: Lingering;
  readonly #client: ClientEvents;
  last: number;
  /** The client's stream is full: output is paused until `drain`. */
  full = false;
  #unacknowledged = 0;
  #clientGone = false;
  #outputDone = false;
  /** The program has written something, so that it runs. */
  #spoke = false;
  /** The program's side is over; the client has to read the rest and close. */
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
    exited.then((status) => this.#exited(status), (error) => this.#refused(error));
    channel.resume();
    // A banner that fills the socket's buffer pauses the program's output, as any other write does.
    if (!text || this.#greet(text)) output.resume();
    else this.full = true;
  }

  #greet(text: string): boolean {
    const banner = new TextEncoder().encode(text);
    this.#traffic.sent += banner.length;
    return this.#channel.write(banner);
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

  /** For `ProgramInput`: the program reads again. */
  inputDrained(): void {
    this.#touch();
    this.#channel.resume();
  }

  /** For `ProgramInput`: the program has closed its input. Data from the client is read and
   *  dropped, so that the client's end of data is still seen. */
  inputClosed(): void {
    this.#channel.resume();
  }

  /** See `StreamHandler`: the client's end of data. */
  end(cut = false): void {
    if (this.#leaving) return;
    this.#touch();
    const error = cut && !this.#mayVanish ? this.#client.cut() : undefined;
    if (error) {
      this.#channel.destroy();
      return this.close(error);
    }
    this.#program.input.end();
  }

  /** For `ProgramOutput`: data from the program. */
  output(chunk: Uint8Array): void {
    this.#touch();
    this.#spoke = true;
    this.#traffic.sent += chunk.length;
    if (this.#channel.write(chunk, true)) return;
    this.full = true;
    this.#program.output.pause();
  }

  /** See `StreamHandler`: the client's stream accepts data again. */
  drain(): void {
    if (this.#leaving) return;
    this.#touch();
    this.full = false;
    this.#program.output.resume();
  }

  /** For `ProgramOutput`: end of the program's output. If it was empty, perhaps the program does not
   *  run, and the client must not take the end for an orderly one. */
  outputEnded(): void {
    this.#touch();
    const identified = this.#spoke ? undefined : this.#program.identified?.();
    if (identified) identified.then(() => this.#endOutput(), (error) => this.#refused(error));
    else this.#endOutput();
  }

  #endOutput(): void {
    if (this.#outputDone || this.#stopped) return;
    this.#outputDone = true;
    this.#channel.end();
    this.#finish();
  }

  /** The program could not be started. */
  #refused(error: Error): void {
    if (this.#stopped) return;
    this.stop();
    this.#program.input.destroy();
    this.#program.output.destroy();
    this.#resolve(Promise.reject(error));
  }

  #exited(status: number | undefined): void {
    this.#wait = status;
    this.#reaped = true;
    // The slot is free now, so a slow client must not keep the remaining output for unlimited time.
    if (!this.#outputDone && !this.#stopped) this.#lingering.add(this);
    this.#finish();
  }

  /** See `StreamHandler`: nothing can reach the client any more. The program reads end of file, and
   *  gets EPIPE if it writes. */
  close(error?: Error): void {
    if (this.#clientGone || this.#stopped) return;
    this.#clientGone = true;
    if (error instanceof TlsError && !this.#isOrderly(error)) this.#client.broken(error);
    this.#lingering.forget(this);
    this.#client.gone();
    if (error || !this.#outputDone) return this.#endProgram();
    // Both directions have ended in order, which a handler can still be reading.
    this.#program.input.end();
    this.#finish();
  }

  /** True after our end of data, unless an answer is expected. A reset is then a permitted way for
   *  the peer to close. Many clients send FIN without close_notify after they got ours. */
  get #mayVanish(): boolean {
    return this.#outputDone && (this.#leaving || !this.#client.awaitsAnswer);
  }

  /** True for a permitted end of the connection after our end of data. */
  #isOrderly({ kind, cause }: TlsError): boolean {
    const answered = this.#client.endsByFin === true && cause.kind === "alert";
    return this.#mayVanish && (kind === "reset" || answered);
  }

  /** The program reads end of file, and gets EPIPE if it writes. */
  #endProgram(): void {
    // Output first: a handler would otherwise take the end of file for the client's end of data.
    this.#program.output.destroy();
    this.#program.input.end();
    this.#outputDone = true;
    this.#finish();
  }

  /** Resolves `status` once the program has been reaped and its output is done. */
  #finish(): void {
    if (!this.#reaped || !this.#outputDone || this.#stopped) return;
    this.#idle.forget(this);
    this.#program.input.destroy();
    this.#leave();
    this.#resolve(this.#wait);
  }

  /** Ends our side. The client has to read the rest and close; what it sends is dropped. Its end of
   *  data does not close the socket, because output may still be on its way to a slow reader. */
  #leave(): void {
    if (this.#clientGone || this.#leaving) return;
    this.#leaving = true;
    this.#channel.end();
    this.#channel.resume();
    this.#lingering.add(this);
  }

  /** See `LingeringClient`. */
  get outputDone(): boolean {
    return this.#leaving;
  }

  /** See `LingeringClient`. */
  unsent(): number | undefined {
    return this.#socket.unacknowledged();
  }

  /** See `LingeringClient`. */
  expire(allRead: boolean): void {
    if (allRead) this.#channel.close();
    else this.#channel.destroy();
    this.close();
  }

  /** See `Watched`. */
  timedOut(): void {
    // A slow reader keeps its connection. While the system's buffer is full, the only sign that the
    // client reads is the number of unacknowledged bytes.
    const unsent = this.#clientGone ? 0 : this.#socket.unacknowledged() ?? 0;
    const progress = unsent !== this.#unacknowledged && unsent > 0;
    this.#unacknowledged = unsent;
    if (progress) return this.#touch();
    this.#idle.forget(this);
    this.#client.silent?.();
    this.#leave();
    this.#endProgram();
    if (this.#wait === undefined) this.#program.kill("SIGTERM"); // not known to have been reaped
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
