/** A connection served by a function in this process instead of a program (the library face).
 *  To the relay it looks like a program: something to write to, something to read from, an end. */

import process from "node:process";
import type { Peer, RemotePeer } from "../connection.ts";
import type { Program } from "../runtime/program.ts";
import { Owned, type Sink, type Source } from "../runtime/stream.ts";

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
    input.fail(why);
  };
  const input = new HandlerInput(giveUp);
  const output = new HandlerOutput(giveUp);
  const run = async (): Promise<number> => {
    try {
      const { readable } = input;
      const { writable } = output;
      await handler({ ...facts, readable, writable, signal: abort.signal });
      return 0;
    } catch (error) {
      if (!abort.signal.aborted) onError(error);
      return 256;
    } finally {
      running = false;
      await output.finish();
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

/** The sink that the relay writes into, over the stream that the handler reads. */
class HandlerInput extends Owned implements Sink {
  readonly readable: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #open = true;

  constructor(readonly giveUp: () => void) {
    super();
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        if (this.#open) this.owner.drain?.();
      },
      cancel: () => {
        this.#open = false;
        this.tellClosed();
      },
    }, { highWaterMark: QUEUE });
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#open) return true;
    this.#controller.enqueue(chunk);
    return (this.#controller.desiredSize ?? 1) > 0;
  }

  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#controller.close();
  }

  destroy(): void {
    this.giveUp();
    this.end();
  }

  /** The handler's stream fails. */
  fail(error: Error): void {
    if (!this.#open) return;
    this.#open = false;
    this.#controller.error(error);
  }
}

/** The source that the relay reads, over the stream that the handler writes to. */
class HandlerOutput extends Owned implements Source {
  readonly writable: WritableStream<Uint8Array>;
  #paused = true;
  #gone = false;
  #ended = false;
  #proceed: (() => void) | undefined;

  constructor(readonly giveUp: () => void) {
    super();
    const end = (): Promise<void> => this.#end();
    this.writable = new WritableStream<Uint8Array>({
      write: async (chunk) => {
        await this.#ready();
        // A copy: the handler may use its buffer again, and a sink keeps what it gets.
        this.owner.data?.(chunk.slice());
      },
      close: end,
      abort: end,
    }, new CountQueuingStrategy({ highWaterMark: QUEUE }));
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#proceed?.();
    this.#proceed = undefined;
  }

  destroy(): void {
    this.#gone = true;
    this.giveUp();
    this.#proceed?.();
    this.#proceed = undefined;
  }

  /** The handler has returned. */
  async finish(): Promise<void> {
    try {
      if (this.writable.locked) await this.#end();
      else await this.writable.close();
    } catch {
      // Closed by the handler, or nobody is there to be told.
    }
  }

  async #ready(): Promise<void> {
    while (this.#paused && !this.#gone) {
      await new Promise<void>((resolve) => this.#proceed = resolve);
    }
    if (this.#gone) throw new Error(OVER);
  }

  async #end(): Promise<void> {
    if (this.#ended) return;
    await this.#ready();
    this.#ended = true;
    this.owner.end?.();
  }
}
