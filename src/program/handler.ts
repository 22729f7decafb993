/** A connection served by a function in this process instead of a program (the library face).
 *  To the relay it looks like a program: something to write to, something to read from, an end. */

import process from "node:process";
import type { Peer, RemotePeer } from "../connection.ts";
import type { Program, Sink, Source } from "../runtime/runtime.ts";

/** What a handler gets of one connection. */
export interface HandlerConnection {
  /** What the client sends. It ends with the client's data: with close_notify, or with a FIN alone. It
   *  fails, as `signal` aborts, when the connection ends before the client's data. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What goes to the client. Closing it sends close_notify; the end of the handler closes it. */
  readonly writable: WritableStream<Uint8Array>;
  /** This end. */
  readonly local: Peer;
  /** The client's end; behind a proxy of `proxyFrom` what the proxy says of it. */
  readonly remote: RemotePeer;
  /** What a program would find in its environment about this connection and its TLS session. */
  readonly environment: Readonly<Record<string, string>>;
  /** The client's certificate chain in DER, its own first; empty when it gave none. Trust is in
   *  `environment.SSL_CLIENT_VERIFY`. */
  readonly peerCertificates: readonly Uint8Array[];
  /** Aborts when the connection ends while the handler runs: the client has reset it or broken TLS, has
   *  closed it and is written to, the idle limit has run out, or the server is ending. It does not abort
   *  at the end of the client's data, nor after the handler. */
  readonly signal: AbortSignal;
}

/** Serves one connection; when its promise settles the connection ends. */
export type Handler = (conn: HandlerConnection) => Promise<void> | void;

/** Chunks that may wait in each direction before the other side is held up. */
const QUEUE = 4;

/** Why `readable`, `writable` and `signal` fail. Who ended it is in the log. */
const OVER = "the connection has ended before its handler";

/** Calls the handler. `exited` resolves with 0, or with 256 when it threw: `onError` is told. */
export function startHandler(
  handler: Handler,
  facts: Omit<HandlerConnection, "readable" | "writable" | "signal">,
  onError: (error: unknown) => void,
): Program {
  const abort = new AbortController();
  let running = true;
  const giveUp = (): void => {
    if (!running) return;
    const why = new Error(OVER);
    abort.abort(why);
    fail(why);
  };
  const { input, readable, fail } = inputStream(giveUp);
  const { output, writable, finish } = outputStream(giveUp);
  const run = async (): Promise<number> => {
    try {
      await handler({ ...facts, readable, writable, signal: abort.signal });
      return 0;
    } catch (error) {
      if (!abort.signal.aborted) onError(error);
      return 256;
    } finally {
      running = false;
      await finish();
    }
  };
  return {
    pid: process.pid,
    input,
    output,
    exited: run(),
    kill() {
      giveUp();
      return true;
    },
  };
}

/** The sink that the relay writes into, the stream that the handler reads, and what makes it fail. */
function inputStream(giveUp: () => void): {
  input: Sink;
  readable: ReadableStream<Uint8Array>;
  fail: (error: Error) => void;
} {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  let open = true;
  const readable = new ReadableStream<Uint8Array>({
    start(c) {
      controller = c;
    },
    pull() {
      if (open) input.onDrain();
    },
    cancel() {
      open = false;
      input.onClose();
    },
  }, { highWaterMark: QUEUE });
  const input: Sink = {
    onDrain() {},
    onClose() {},
    write(chunk) {
      if (!open) return true;
      controller.enqueue(chunk);
      return (controller.desiredSize ?? 1) > 0;
    },
    end() {
      if (!open) return;
      open = false;
      controller.close();
    },
    destroy() {
      giveUp();
      input.end();
    },
  };
  const fail = (error: Error): void => {
    if (!open) return;
    open = false;
    controller.error(error);
  };
  return { input, readable, fail };
}

/** The stream that the handler writes to, and the source that the relay reads. */
function outputStream(
  giveUp: () => void,
): { output: Source; writable: WritableStream<Uint8Array>; finish: () => Promise<void> } {
  let paused = true;
  let gone = false;
  let ended = false;
  let proceed: (() => void) | undefined;
  const output: Source = {
    onData() {},
    onEnd() {},
    onClose() {},
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      proceed?.();
      proceed = undefined;
    },
    destroy() {
      gone = true;
      giveUp();
      proceed?.();
      proceed = undefined;
    },
  };
  const ready = async (): Promise<void> => {
    while (paused && !gone) await new Promise<void>((resolve) => proceed = resolve);
    if (gone) throw new Error(OVER);
  };
  const end = async (): Promise<void> => {
    if (ended) return;
    await ready();
    ended = true;
    output.onEnd();
  };
  const writable = new WritableStream<Uint8Array>({
    async write(chunk) {
      await ready();
      output.onData(chunk.slice()); // the handler may use its buffer again; a sink keeps what it gets
    },
    close: end,
    abort: end,
  }, new CountQueuingStrategy({ highWaterMark: QUEUE }));
  const finish = async (): Promise<void> => {
    try {
      if (writable.locked) await end();
      else await writable.close();
    } catch {
      // Closed by the handler, or nobody is there to be told.
    }
  };
  return { output, writable, finish };
}
