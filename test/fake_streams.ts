/** Streams in memory, for tests of what stands between a client and its program. */

import { concat, latin1 } from "../src/codec/bytes.ts";
import type { Sink, Socket, Source } from "../src/runtime/runtime.ts";

export const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Delivers what is put in, when it is not paused. */
export class FakeSource implements Source {
  onData: (chunk: Uint8Array) => void = () => {};
  onEnd: (cut?: boolean) => void = () => {};
  onClose: (error?: Error) => void = () => {};
  destroyed = false;
  #flowing = false;
  #queue: (Uint8Array | null)[] = [];

  /** A chunk, or null for the end. */
  put(item: string | Uint8Array | null): void {
    this.#queue.push(typeof item === "string" ? bytes(item) : item);
    this.#deliver();
  }
  pause(): void {
    this.#flowing = false;
  }
  hold(): void {
    this.pause();
  }
  resume(): void {
    this.#flowing = true;
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
    while (this.#flowing && !this.destroyed) {
      const item = this.#queue.shift();
      if (item === undefined) return;
      if (item === null) this.onEnd();
      else this.onData(item);
    }
  }
}

export class FakeSink implements Sink {
  onDrain: () => void = () => {};
  onClose: (error?: Error) => void = () => {};
  readonly written: Uint8Array[] = [];
  ended = false;
  destroyed = false;
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
    this.onDrain();
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

/** The client: `input` is what it sends, `output` what it gets. */
export class FakeSocket extends FakeSource implements Socket {
  readonly gone = false;
  readonly local = { ip: "192.0.2.1", port: 25 };
  readonly remote = { ip: "192.0.2.7", port: 4711 };
  readonly fd = undefined;
  readonly output = new FakeSink();
  onDrain: () => void = () => {};

  write(chunk: Uint8Array): boolean {
    return this.output.write(chunk);
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
