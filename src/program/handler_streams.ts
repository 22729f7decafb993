/** The two streams of a handler, for handler.ts: to the relay they are the sink and the source of a
 *  program, to the handler a `ReadableStream` and a `WritableStream`. These are made only when a
 *  handler uses them, because thousands of connections may be idle. */

import { Owned, type Sink, type Source } from "../runtime/stream.ts";

/** The running handler, as its streams see it. */
export interface RunningHandler {
  /** To be called when the connection has ended while the handler runs. */
  giveUp(): void;
}

/** Chunks buffered in each direction before back-pressure begins. */
const QUEUE = 4;

/** The error of the streams and of `signal`. The log says why the connection ended. */
export const OVER = "the connection has ended before its handler";

/** A sink for the relay; what is written to it appears in the stream that the handler reads. */
export class HandlerInput extends Owned implements Sink, UnderlyingDefaultSource<Uint8Array> {
  #readable: ReadableStream<Uint8Array> | undefined;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #open = true;

  constructor(readonly program: RunningHandler) {
    super();
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#readable ??= new ReadableStream<Uint8Array>(this, { highWaterMark: QUEUE });
  }

  /** See `UnderlyingDefaultSource`. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  /** See `UnderlyingDefaultSource`. */
  pull(): void {
    if (this.#open) this.owner.drain?.();
  }

  /** See `UnderlyingDefaultSource`. */
  cancel(): void {
    this.#open = false;
    this.tellClosed();
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#open) return true;
    this.#made().enqueue(chunk);
    return (this.#controller.desiredSize ?? 1) > 0;
  }

  end(): void {
    if (!this.#open) return;
    const controller = this.#made();
    this.#open = false;
    controller.close();
  }

  destroy(): void {
    this.program.giveUp();
    this.end();
  }

  /** Makes the handler's reads fail. */
  fail(error: Error): void {
    if (!this.#open) return;
    const controller = this.#made();
    this.#open = false;
    controller.error(error);
  }

  #made(): ReadableStreamDefaultController<Uint8Array> {
    void this.readable;
    return this.#controller;
  }
}

/** A source for the relay: it delivers what the handler writes to its stream. */
export class HandlerOutput extends Owned implements Source, UnderlyingSink<Uint8Array> {
  #writable: WritableStream<Uint8Array> | undefined;
  #paused = true;
  #gone = false;
  #ended = false;
  #proceed: (() => void) | undefined;

  constructor(readonly program: RunningHandler) {
    super();
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= new WritableStream<Uint8Array>(
      this,
      { highWaterMark: QUEUE },
    );
  }

  /** See `UnderlyingSink`. */
  async write(chunk: Uint8Array): Promise<void> {
    await this.#ready();
    this.owner.data?.(copyOf(chunk));
  }

  /** See `UnderlyingSink`. */
  close(): Promise<void> {
    return this.#end();
  }

  /** See `UnderlyingSink`. */
  abort(): Promise<void> {
    return this.#end();
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
    this.program.giveUp();
    this.#proceed?.();
    this.#proceed = undefined;
  }

  /** Ends the output after the handler has returned. */
  async finish(): Promise<void> {
    try {
      if (!this.#writable || this.#writable.locked) await this.#end();
      else await this.#writable.close();
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

/** Copies what a handler writes, because it may reuse its buffer while the sink still holds the chunk.
 *  `slice` would not copy a Buffer. Throws `TypeError` if the chunk is not binary data. */
function copyOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return new Uint8Array(chunk);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk.slice(0));
  if (!ArrayBuffer.isView(chunk)) {
    throw new TypeError(`writable takes a Uint8Array, not ${typeof chunk}`);
  }
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength).slice();
}
