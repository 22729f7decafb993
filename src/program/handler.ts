/** Serves a connection by a function in this process instead of a program: of the library, of
 *  handlers/, or of a module (--handler). To the relay the function looks like a program: a sink, a
 *  source and an end. handler_streams.ts has the two streams. */

import process from "node:process";
import type { Peer, RemotePeer } from "../connection.ts";
import type { Program } from "../runtime/program.ts";
import { HandlerInput, HandlerOutput, OVER } from "./handler_streams.ts";

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

/** What a handler gets beyond its streams and its signal. */
export interface HandlerFacts extends Omit<HandlerConnection, "readable" | "writable" | "signal"> {
  /** The TLS records of the ClientHello, if `ConnectionHandler.needs` says "hello". */
  readonly hello?: Uint8Array | undefined;
  /** The TLS session was resumed. */
  readonly reused?: boolean;
  /** Gets an error of the handler, unless the connection had ended before. A method, because a
   *  closure would be kept for each connection. */
  failed(error: unknown): void;
}

/** Serves connections in this process. */
export interface ConnectionHandler {
  /** What is kept of a connection for `start`. `session`: the TLS session, for variables and
   *  certificates. `hello`: the session and the ClientHello. */
  readonly needs: "nothing" | "session" | "hello";
  /** Starts to serve one connection. */
  start(facts: HandlerFacts): Program;
}

/** Serves connections by a function. */
export function connectionHandler(handler: Handler): ConnectionHandler {
  return {
    needs: "session",
    start: (facts) => startHandler(handler, facts),
  };
}

/** Calls the handler. `exited` resolves with 0, or with 256 if the handler throws. */
export function startHandler(handler: Handler, facts: HandlerFacts): Program {
  const program = new HandlerProgram();
  program.begin(handler, facts);
  return program;
}

/** A running handler. */
class HandlerProgram implements Program {
  readonly pid = process.pid;
  readonly input = new HandlerInput(this);
  readonly output = new HandlerOutput(this);
  exited!: Promise<number>;
  #state: "running" | "given up" | "over" = "running";
  #abort: AbortController | undefined;

  begin(handler: Handler, facts: HandlerFacts): void {
    this.exited = this.#run(handler, facts);
  }

  async #run(handler: Handler, facts: HandlerFacts): Promise<number> {
    try {
      await handler(new Given(facts, this));
      return 0;
    } catch (error) {
      if (this.#state === "running") facts.failed(error);
      return 256;
    } finally {
      this.#state = "over";
      await this.output.finish();
    }
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#state === "given up") this.#abort.abort(new Error(OVER));
    return this.#abort.signal;
  }

  /** To be called when the connection has ended while the handler runs. */
  giveUp(): void {
    if (this.#state !== "running") return;
    this.#state = "given up";
    const why = new Error(OVER);
    this.#abort?.abort(why);
    this.input.fail(why);
  }

  kill(): boolean {
    this.giveUp();
    return true;
  }
}

/** What the handler gets. */
class Given implements HandlerConnection {
  readonly #facts: HandlerFacts;
  readonly #program: HandlerProgram;

  constructor(facts: HandlerFacts, program: HandlerProgram) {
    this.#facts = facts;
    this.#program = program;
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#program.input.readable;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#program.output.writable;
  }

  get signal(): AbortSignal {
    return this.#program.signal;
  }

  get local(): Peer {
    return this.#facts.local;
  }

  get remote(): RemotePeer {
    return this.#facts.remote;
  }

  get environment(): Readonly<Record<string, string>> {
    return this.#facts.environment;
  }

  get peerCertificates(): readonly Uint8Array[] {
    return this.#facts.peerCertificates;
  }
}
