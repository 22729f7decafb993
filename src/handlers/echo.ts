/** --echo: sends back what the client sends, until the client ends its data. It has no streams of
 *  its own, and passes the relay's chunks from its input to its output. */

import process from "node:process";
import type { ConnectionHandler } from "../program/handler.ts";
import type { Program } from "../runtime/program.ts";
import { Owned, type Sink, type Source } from "../runtime/stream.ts";

export const echo: ConnectionHandler = { needs: "nothing", start: () => new Echo() };

/** The sink for the data that the client sends. */
class Echo extends Owned implements Program, Sink {
  readonly pid = process.pid;
  readonly input = this;
  readonly output = new Echoed(this);
  readonly exited: Promise<number>;
  readonly #over: (status: number) => void;

  constructor() {
    super();
    const { promise, resolve } = Promise.withResolvers<number>();
    this.exited = promise;
    this.#over = resolve;
  }

  write(chunk: Uint8Array): boolean {
    return this.output.deliver(chunk);
  }

  end(): void {
    this.output.end();
    this.#over(0);
  }

  destroy(): void {
    this.end();
  }

  kill(): boolean {
    this.end();
    return true;
  }

  /** For `Echoed`: the client reads again. */
  proceed(): void {
    this.owner.drain?.();
  }
}

/** The source of the data that goes back to the client. */
class Echoed extends Owned implements Source {
  #state: "paused" | "flowing" | "ended" = "paused";

  constructor(readonly echo: Echo) {
    super();
  }

  /** Passes a chunk on. False: the next chunk must wait for `Echo.proceed`. */
  deliver(chunk: Uint8Array): boolean {
    if (this.#state === "ended") return true;
    this.owner.data?.(chunk);
    return this.#state === "flowing";
  }

  end(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.owner.end?.();
  }

  pause(): void {
    if (this.#state === "flowing") this.#state = "paused";
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "flowing";
    this.echo.proceed();
  }

  destroy(): void {
    this.#state = "ended";
  }
}
