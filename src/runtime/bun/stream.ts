/** A native socket of Bun behind the stream interface. Queues what a partial write left over, holds
 *  what comes while paused, and does half-close. Knows nothing of TLS. */

import { Owned } from "../stream.ts";
import type { NativeSocket, SocketHandler } from "./types.ts";

const stopSoon = (stream: BunStream): void => stream.stopSoon();
const stopIfPaused = (stream: BunStream): void => stream.stopIfPaused();

/** A native socket, plain or TLS, behind the stream interface. */
export class BunStream extends Owned {
  #queue: Uint8Array[] | undefined;
  /** Bytes and end of data that came while paused (see `StreamHandler.end`): a paused native TLS
   *  socket still delivers what it has decrypted. */
  #held: (Uint8Array | "end" | "cut")[] | undefined;
  #paused = true;
  /** The native socket has been told to stop. */
  #stopped = false;
  #ending = false;
  #gone = false;

  constructor(protected native: NativeSocket<BunStream>) {
    super();
  }

  get gone(): boolean {
    return this.#gone;
  }

  pause(): void {
    this.#paused = true;
    this.#stop();
  }

  /** See `Socket.hold`. Stopping and starting a native socket takes four system calls and two
   *  turns. A handshake that need not wait begins in the next turn. */
  hold(): void {
    this.#paused = true;
    setImmediate(stopSoon, this);
  }

  /** Stops the native socket in the next turn, before data can come, if it is still paused then. */
  stopSoon(): void {
    setImmediate(stopIfPaused, this);
  }

  stopIfPaused(): void {
    if (this.#paused) this.#stop();
  }

  resume(): void {
    this.#paused = false;
    if (this.#gone) return;
    if (this.#held) queueMicrotask(() => this.#release());
    else this.#start();
  }

  #stop(): void {
    if (this.#stopped || this.#gone) return;
    this.#stopped = true;
    this.native.pause();
  }

  #start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.native.resume();
  }

  /** The bytes that came while paused. */
  protected heldBytes(): Uint8Array[] {
    return (this.#held ?? []).filter((piece) => typeof piece !== "string");
  }

  /** Removes and returns the bytes that came while paused. `ended`: the peer's end of data came
   *  too. */
  protected takeHeld(): { held: Uint8Array[]; ended: boolean } {
    const held = this.heldBytes();
    const ended = held.length !== (this.#held?.length ?? 0);
    this.#held = undefined;
    return { held, ended };
  }

  /** Native event: bytes. */
  received(bytes: Uint8Array): void {
    if (!this.#paused && !this.#held) return this.owner.data?.(bytes);
    if (this.#gone) return;
    // The first piece does not stop the socket: after the handshake it is usually the request, and the
    // program starts soon. Stopping and starting take seven system calls and a turn.
    if (this.#held) this.#stop();
    (this.#held ??= []).push(bytes);
  }

  /** Native event: the peer's end of data. */
  ended(cut = false): void {
    if (!this.#paused && !this.#held) this.owner.end?.(cut);
    else if (!this.#gone) (this.#held ??= []).push(cut ? "cut" : "end");
  }

  #release(): void {
    while (this.#held && !this.#paused && !this.#gone) {
      const next = this.#held.shift();
      if (this.#held.length === 0) this.#held = undefined;
      if (typeof next === "string") this.owner.end?.(next === "cut");
      else if (next) this.owner.data?.(next);
    }
    if (!this.#held && !this.#paused && !this.#gone) this.#start();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#gone || this.#ending) return true;
    if (this.#queue) {
      this.#queue.push(chunk.slice());
      return false;
    }
    const taken = this.native.write(chunk);
    if (taken < 0 || taken >= chunk.length) return true;
    this.#queue = [chunk.slice(Math.max(taken, 0))];
    return false;
  }

  end(): void {
    if (this.#gone || this.#ending) return;
    this.#ending = true;
    if (!this.#queue) this.endOutput();
  }

  /** Sends the end of output; the queue is empty. */
  protected endOutput(): void {
    this.native.shutdown();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#queue = this.#held = undefined;
    this.hangUp();
  }

  close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#queue = this.#held = undefined;
    this.native.close();
  }

  /** See `Socket.abort`. */
  abort(): void {
    if (this.#gone) return;
    this.destroy();
    this.tellClosed();
  }

  /** Sends a reset, so that a TLS client does not take the end for an orderly one. */
  protected hangUp(): void {
    this.native.terminate();
  }

  /** Native event: room again. Writes the queue. */
  drained(): void {
    const queue = this.#queue;
    if (this.#gone || !queue) return;
    while (queue.length > 0) {
      const chunk = queue[0] as Uint8Array;
      const taken = this.native.write(chunk);
      if (taken < 0) break;
      if (taken < chunk.length) {
        if (taken > 0) queue[0] = chunk.subarray(taken);
        return;
      }
      queue.shift();
    }
    this.#queue = undefined;
    if (this.#ending) this.endOutput();
    else this.owner.drain?.();
  }

  failed(error: Error): void {
    this.failure ??= error;
  }

  closed(error?: Error): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#queue = this.#held = undefined;
    this.tellClosed(error ?? this.failure);
  }
}

/** The handlers are shared by all connections: one object each, no closure per connection. */
export const plainHandler: SocketHandler<BunStream> = {
  data: (socket, bytes) => socket.data.received(bytes),
  drain: (socket) => socket.data.drained(),
  end: (socket) => socket.data.ended(),
  // A connection that was reset before it was accepted has no data yet.
  error: (socket, error) => (socket.data as BunStream | undefined)?.failed(error),
  close: (socket, error) => (socket.data as BunStream | undefined)?.closed(error),
};
