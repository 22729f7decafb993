/** Stage 5: both directions between client and program, until both are done.
 *
 *  Back-pressure: a side that does not take is a side from which nothing is read. Half-close: the
 *  client's end of data is end of file for the program, whose output still flows; the program's
 *  end of output is close_notify and FIN for the client. Nobody waits longer than the idle limit. */

import type { Traffic } from "./metrics/observer.ts";
import type { Sink, Socket, Source, Stream } from "./runtime/runtime.ts";

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
  /** Seconds without a byte in either direction (-w). */
  idleTimeout: number;
  /** The TCP connection below `channel`, to tell a slow reader from a dead one. */
  socket: Socket;
  /** Written to the client first (-B). */
  banner?: string | undefined;
  /** Counts the bytes of both directions. */
  traffic?: Traffic;
  /** Aborted when the server destroys the client's side, of which that side says nothing. */
  signal?: AbortSignal;
  /** The client's side is closed and its descriptor free. Exactly once. */
  onGone: () => void;
}

/** Begins relaying at once. */
export function relay(channel: Stream, program: ProgramEnds, options: RelayOptions): Relay {
  const { input, output } = program;
  const { socket, traffic = { received: 0, sent: 0 } } = options;
  const idle = options.idleTimeout * 1000;
  let last = Date.now();
  let unacknowledged = 0;
  let clientGone = false;
  let outputDone = false;
  let status: number | undefined;
  let reaped = false;
  let stopped = false;
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const touch = (): void => {
    last = Date.now();
  };

  /** Both the program and its output are done: the connection no longer counts. */
  const finish = (): void => {
    if (!reaped || !outputDone || stopped) return;
    clearTimeout(timer);
    input.destroy();
    if (!clientGone) linger(channel, options);
    resolve(status);
  };
  /** Nothing can reach the client any more: end of file for the program, EPIPE if it writes on. */
  const loseClient = (): void => {
    if (clientGone) return;
    clientGone = true;
    options.onGone();
    input.end();
    output.destroy();
    outputDone = true;
    finish();
  };
  /** Looks again when the limit could have been reached: no work per chunk beyond a time stamp. */
  const check = (): void => {
    const left = last + idle - Date.now();
    if (left > 0) {
      timer = setTimeout(check, left);
      return;
    }
    // A reader that takes a byte now and then keeps the connection, though we see no progress
    // while the system's buffer is full.
    const unsent = clientGone ? 0 : socket.unacknowledged() ?? 0;
    const progress = unsent !== unacknowledged && unsent > 0;
    unacknowledged = unsent;
    if (progress) {
      touch();
      timer = setTimeout(check, idle);
      return;
    }
    channel.destroy();
    loseClient();
    if (status === undefined) program.kill("SIGTERM"); // not reaped, or nobody knows
  };
  let timer = setTimeout(check, idle);

  channel.onData = (chunk) => {
    touch();
    traffic.received += chunk.length;
    if (!input.write(chunk)) channel.pause();
  };
  input.onDrain = () => {
    touch();
    channel.resume();
  };
  channel.onEnd = () => {
    touch();
    input.end();
  };
  // A program that does not read is no reason to keep the client from ending: go on and drop.
  input.onClose = () => channel.resume();
  channel.onClose = loseClient;
  options.signal?.addEventListener("abort", loseClient);

  output.onData = (chunk) => {
    touch();
    traffic.sent += chunk.length;
    if (!channel.write(chunk)) output.pause();
  };
  channel.onDrain = () => {
    touch();
    output.resume();
  };
  output.onEnd = () => {
    touch();
    outputDone = true;
    channel.end();
    finish();
  };
  output.onClose = (error) => {
    if (error) output.onEnd();
  };

  program.exited.then((wait) => {
    status = wait;
    reaped = true;
    finish();
  });
  if (channel.gone) queueMicrotask(loseClient);
  channel.resume();
  const banner = new TextEncoder().encode(options.banner);
  traffic.sent += banner.length;
  // A banner that fills the socket's buffer holds the output up like any other output.
  if (banner.length === 0 || channel.write(banner)) output.resume();
  return {
    status: promise,
    stop() {
      stopped = true;
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", loseClient);
      const nothing = (): void => {};
      channel.pause();
      output.pause();
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
    },
  };
}

/** Reads and drops until the client closes too, or its time is up. Its end of data is no reason to
 *  close: output may still be on its way to a slow reader. */
function linger(channel: Stream, { socket, idleTimeout, onGone }: RelayOptions): void {
  let unsent = socket.unacknowledged();
  let moved = Date.now();
  const look = (): void => {
    const now = socket.unacknowledged();
    if (now !== unsent) moved = Date.now();
    unsent = now;
    if (now === 0 || Date.now() - moved >= idleTimeout * 1000) {
      channel.destroy();
      close();
    } else timer = setTimeout(look, LINGER);
  };
  let timer = setTimeout(look, LINGER);
  const close = (): void => {
    clearTimeout(timer);
    onGone();
  };
  channel.onData = () => {};
  channel.onDrain = () => {};
  channel.onEnd = () => {};
  channel.onClose = close;
  channel.resume();
}
