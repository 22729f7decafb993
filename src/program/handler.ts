/** Serves a connection by a function in this process instead of a program (the library). To the
 *  relay the function looks like a program: a sink, a source and an end. */

import process from "node:process";
import type { Peer, RemotePeer } from "../connection.ts";
import type { Program } from "../runtime/program.ts";
import { Owned, type Sink, type Source } from "../runtime/stream.ts";

/** One connection, as a handler gets it. The TLS handshake is done, and the client is admitted. */
export interface HandlerConnection {
  /** The decrypted data of the client. Ends when the client sends close_notify or only a FIN. Fails
   *  when `signal` aborts before that. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Data for the client. Closing it sends close_notify, and the client can still send. When the
   *  handler ends, it is closed if the handler has not closed it. Writing fails after `signal` has
   *  aborted. */
  readonly writable: WritableStream<Uint8Array>;
  /** The server's end of the connection. */
  readonly local: Peer;
  /** The client's end. Behind a proxy of `proxyFrom`, the client that the PROXY header names. */
  readonly remote: RemotePeer;
  /** The variables that a program would get about this connection and its TLS session
   *  (sslserver-environment(7)), and those that access rules set. */
  readonly environment: Readonly<Record<string, string>>;
  /** The client's certificate chain in DER, the client's own certificate first; empty if the client
   *  sent none. `environment.SSL_CLIENT_VERIFY` says whether it is trusted. */
  readonly peerCertificates: readonly Uint8Array[];
  /** Aborts when the connection ends while the handler runs: the client resets it or breaks TLS,
   *  data is written after the client has closed it, the idle limit runs out, or the server shuts
   *  down. Does not abort at the end of the client's data, nor after the handler has returned. */
  readonly signal: AbortSignal;
}

/** Serves one connection. The connection ends when the handler returns or its promise settles. An
 *  error that it throws before `signal` aborts is logged. */
export type Handler = (conn: HandlerConnection) => Promise<void> | void;

/** Chunks buffered in each direction before back-pressure begins. */
const QUEUE = 4;

/** The error of `readable`, `writable` and `signal`. The log says why the connection ended. */
const OVER = "the connection has ended before its handler";

/** Calls the handler. `exited` resolves with 0, or with 256 if the handler throws; `onError` gets
 *  the error unless the connection had ended before. */
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

/** A sink for the relay; what is written to it appears in the stream that the handler reads. */
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

  /** Makes the handler's reads fail. */
  fail(error: Error): void {
    if (!this.#open) return;
    this.#open = false;
    this.#controller.error(error);
  }
}

/** A source for the relay: it delivers what the handler writes to its stream. */
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
        // A copy, because the handler may reuse its buffer while the sink still holds the chunk.
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

  /** Ends the output after the handler has returned. */
  async finish(): Promise<void> {
    try {
      if (this.writable.locked) await this.#end();
      else await this.writable.close();
    } catch {
      // The handler has closed it already, or the connection has ended.
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
