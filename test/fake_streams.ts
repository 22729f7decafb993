/** Streams in memory, for tests of what stands between a client and its program. */

import { concat, latin1 } from "../src/codec/bytes.ts";
import type { Socket } from "../src/runtime/runtime.ts";
import { Owned, type Sink, type Source, type StreamHandler } from "../src/runtime/stream.ts";

export const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What all fakes have. */
abstract class Fake extends Owned {
  destroyed = false;

  /** Who owns it now. */
  get handler(): StreamHandler {
    return this.owner;
  }
  /** It is closed by the other side. */
  lose(error?: Error): void {
    this.tellClosed(error);
  }
}

/** Delivers what is put in, when it is not paused. */
export class FakeSource extends Fake implements Source {
  flowing = false;
  #queue: (Uint8Array | null)[] = [];

  /** A chunk, or null for the end. */
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
  /** There is always more. */
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

/** The client: what is put in is what it sends, `output` what it gets. */
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
  /** The client takes more again. */
  drain(): void {
    this.output.full = false;
    this.owner.drain?.();
  }
  end(): void {
    this.output.end();
  }
  /** Closed without a reset. */
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
  /** The end of its data without close_notify. */
  cut(): void {
    this.owner.end?.(true);
  }
  setNoDelay(): void {}
  /** What the system says is not acknowledged yet. */
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
