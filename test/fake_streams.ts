/** Streams in memory, for tests of the code between a client and its program. */

import { concat, latin1 } from "../src/codec/bytes.ts";
import type { Socket } from "../src/runtime/runtime.ts";
import { Owned, type Sink, type Source, type StreamHandler } from "../src/runtime/stream.ts";

export const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The common part of all fake streams. */
abstract class Fake extends Owned {
  destroyed = false;

  /** The current owner. */
  get handler(): StreamHandler {
    return this.owner;
  }
  /** Closes the stream from the other side. */
  lose(error?: Error): void {
    this.tellClosed(error);
  }
}

/** A source that delivers the items given to `put`, unless it is paused. */
export class FakeSource extends Fake implements Source {
  flowing = false;
  #queue: (Uint8Array | null)[] = [];

  /** Adds a chunk, or the end (null). */
  put(item: string | Uint8Array | null): void {
    this.#queue.push(typeof item === "string" ? bytes(item) : item);
    this.#deliver();
  }
  pause(): void {
    this.flowing = false;
  }
  hold(): void {
    this.pause();
  }
  resume(): void {
    this.flowing = true;
    queueMicrotask(() => this.#deliver());
  }
  /** True: there is always more data. */
  endless = false;
  get readable(): boolean {
    return this.endless || this.#queue.length > 0;
  }
  destroy(): void {
    this.destroyed = true;
    this.#queue = [];
  }
  #deliver(): void {
    while (this.flowing && !this.destroyed) {
      const item = this.#queue.shift();
      if (item === undefined) return;
      if (item === null) this.owner.end?.();
      else this.owner.data?.(item);
    }
  }
}

export class FakeSink extends Fake implements Sink {
  readonly written: Uint8Array[] = [];
  ended = false;
  full = false;

  get text(): string {
    return latin1(concat(this.written));
  }
  write(chunk: Uint8Array): boolean {
    if (!this.destroyed && !this.ended) this.written.push(chunk);
    return !this.full;
  }
  drain(): void {
    this.full = false;
    this.owner.drain?.();
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

/** The client's socket. `put` is data that the client sends, `output` is what it receives. */
export class FakeSocket extends FakeSource implements Socket {
  readonly local = { ip: "192.0.2.1", port: 25 };
  readonly fd = undefined;
  readonly output = new FakeSink();

  constructor(readonly remote = { ip: "192.0.2.7", port: 4711 }) {
    super();
  }
  write(chunk: Uint8Array): boolean {
    return this.output.write(chunk);
  }
  /** The client reads again, so that output drains. */
  drain(): void {
    this.output.full = false;
    this.owner.drain?.();
  }
  end(): void {
    this.output.end();
  }
  /** True if closed without a reset. */
  closed = false;
  close(): void {
    this.closed = true;
    this.destroy();
  }
  abort(): void {
    if (this.destroyed) return;
    this.destroy();
    this.tellClosed();
  }
  /** Ends the client's data without close_notify. */
  cut(): void {
    this.owner.end?.(true);
  }
  setNoDelay(): void {}
  /** The bytes that are not acknowledged yet, as the kernel would report them. */
  unsent: number | undefined;
  unacknowledged(): number | undefined {
    return this.unsent;
  }
  unread(): Uint8Array {
    return new Uint8Array(0);
  }
  startTls(): never {
    throw new Error("no TLS here");
  }
}
