/** Stage 5: both directions between client and program, until both are done.
 *
 *  Back-pressure: a side that does not take is a side from which nothing is read. Half-close: the
 *  client's end of data is end of file for the program, whose output still flows; the program's
 *  end of output is close_notify and FIN for the client. Nobody waits longer than the idle limit. */

import type { Connection } from "./connection.ts";
import type { IdleWatch, Watched } from "./idle.ts";
import type { Traffic } from "./metrics/observer.ts";
import type { Sink, Source, Stream } from "./runtime/runtime.ts";

/** After the server's FIN a client may take its time to close, or still send; what it sends is read
 *  and dropped, since closing with bytes unread makes the system send a reset, and a reset can
 *  overtake output that the client has not read yet (RFC 1122 4.2.2.13). Counts from when the client
 *  has everything; until then it has the idle limit. In milliseconds. */
const LINGER = 10_000;

export interface Relay {
  /** The program's wait status (undefined: not known), when the program has been reaped and its output has been handed to
   *  the system or cannot be delivered any more. The client's side may linger a little. Never, if
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
  /** The connection below `channel`: to tell a slow reader from a dead one, and to hear when the server
   *  gives it up, of which `channel` says nothing. */
  conn: Pick<Connection, "socket" | "onGivenUp">;
  /** Written to the client first (-B). */
  banner?: string | undefined;
  /** Counts the bytes of both directions. */
  traffic: Traffic;
  /** The client's side is closed and its descriptor free. Exactly once. */
  onGone: () => void;
}

/** Begins relaying at once. */
export function relay(channel: Stream, program: ProgramEnds, options: RelayOptions): Relay {
  const one = new Relaying(channel, program, options);
  one.begin(options.banner);
  return one;
}

const nothing = (): void => {};

/** Small, since thousands of them may be idle. */
class Relaying implements Relay, Watched {
  readonly status: Promise<number | undefined>;
  readonly #resolve: (status: number | undefined) => void;
  readonly #channel: Stream;
  readonly #program: ProgramEnds;
  readonly #conn: RelayOptions["conn"];
  readonly #idle: IdleWatch;
  readonly #traffic: Traffic;
  readonly #onGone: () => void;
  last: number;
  #unacknowledged = 0;
  #clientGone = false;
  #outputDone = false;
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
    this.#onGone = options.onGone;
    this.last = this.#idle.now();
    this.#idle.add(this);
  }

  begin(text: string | undefined): void {
    const channel = this.#channel;
    const { input, output, exited } = this.#program;
    channel.onData = (chunk) => this.#fromClient(chunk);
    channel.onEnd = () => this.#clientEnded();
    channel.onDrain = () => this.#toClientAgain();
    channel.onClose = this.#conn.onGivenUp = () => this.#loseClient();
    input.onDrain = () => this.#toProgramAgain();
    // A program that does not read is no reason to keep the client from ending: go on and drop.
    input.onClose = () => channel.resume();
    output.onData = (chunk) => this.#fromProgram(chunk);
    output.onEnd = () => this.#outputEnded();
    output.onClose = (error) => error && this.#outputEnded();
    exited.then((status) => this.#exited(status));
    if (channel.gone) queueMicrotask(() => this.#loseClient());
    channel.resume();
    const banner = new TextEncoder().encode(text);
    this.#traffic.sent += banner.length;
    // A banner that fills the socket's buffer holds the output up like any other output.
    if (banner.length === 0 || channel.write(banner)) output.resume();
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

  #clientEnded(): void {
    this.#touch();
    this.#program.input.end();
  }

  #fromProgram(chunk: Uint8Array): void {
    this.#touch();
    this.#traffic.sent += chunk.length;
    if (!this.#channel.write(chunk, true)) this.#program.output.pause();
  }

  #toClientAgain(): void {
    this.#touch();
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
    this.#finish();
  }

  /** Nothing can reach the client any more: end of file for the program, EPIPE if it writes on. */
  #loseClient(): void {
    if (this.#clientGone || this.#stopped) return;
    this.#clientGone = true;
    this.#onGone();
    this.#program.input.end();
    this.#program.output.destroy();
    this.#outputDone = true;
    this.#finish();
  }

  /** Both the program and its output are done: the connection no longer counts. */
  #finish(): void {
    if (!this.#reaped || !this.#outputDone || this.#stopped) return;
    this.#idle.forget(this);
    this.#program.input.destroy();
    if (!this.#clientGone) linger(this.#channel, this.#conn, this.#idle.limit, this.#onGone);
    this.#resolve(this.#wait);
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
    this.#channel.destroy();
    this.#loseClient();
    if (this.#wait === undefined) this.#program.kill("SIGTERM"); // not reaped, or nobody knows
  }

  stop(): void {
    this.#stopped = true;
    this.#idle.forget(this);
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

/** Reads and drops until the client closes too, or its time is up. Its end of data is no reason to
 *  close: output may still be on its way to a slow reader. */
function linger(
  channel: Stream,
  conn: RelayOptions["conn"],
  patience: number,
  onGone: () => void,
): void {
  const { socket } = conn;
  let unsent = socket.unacknowledged();
  let moved = performance.now();
  const look = (): void => {
    const now = socket.unacknowledged();
    if (now !== unsent) moved = performance.now();
    unsent = now;
    if (now === 0 || performance.now() - moved >= patience) {
      channel.destroy();
      close();
    } else timer = setTimeout(look, LINGER);
  };
  let timer = setTimeout(look, LINGER);
  const close = (): void => {
    clearTimeout(timer);
    onGone();
  };
  channel.onData = channel.onDrain = channel.onEnd = nothing;
  channel.onClose = conn.onGivenUp = close;
  channel.resume();
}
