/** Streams over descriptors made by libc, with `node:net`: a connection, or one direction of a
 *  pipe. Such a socket stops reading when paused, unless `node:tls` uses it directly. */

import { Socket as NetSocket } from "node:net";
import { HIGH_WATER } from "./stream.ts";
import { free, Owned, type Stream } from "../stream.ts";

/** A stream over an adopted descriptor, which it closes. */
export class AdoptedStream extends Owned implements Stream {
  protected readonly socket: NetSocket;
  #full = false;
  #gone = false;
  #error: Error | undefined;

  /** Name only directions that the descriptor has: reading from a pipe's writing end fails. */
  constructor(fd: number, { readable, writable }: { readable: boolean; writable: boolean }) {
    super();
    const options = {
      fd,
      readable,
      writable,
      allowHalfOpen: true,
      // No read-ahead while paused, which would buffer 64 KB of a program's output for a client
      // that does not read.
      readableHighWaterMark: 0,
      writableHighWaterMark: HIGH_WATER, // from here on "drain" follows when the queue is empty
    };
    const socket = new NetSocket(options);
    this.socket = socket;
    if (readable) {
      socket.pause();
      // Adding this listener would start reading without the pause() above.
      socket.on("data", (chunk: Uint8Array) => this.owner.data?.(chunk));
      socket.on("end", () => this.#gone || this.owner.end?.());
    }
    if (writable) socket.on("drain", () => this.#drained());
    socket.on("error", (error) => this.#error ??= error);
    socket.on("close", () => this.#closed());
  }

  get gone(): boolean {
    return this.#gone;
  }

  pause(): void {
    this.socket.pause();
  }

  hold(): void {
    this.pause();
  }

  resume(): void {
    if (!this.#gone) this.socket.resume();
  }

  write(chunk: Uint8Array, spent = false): boolean {
    if (this.#gone || this.socket.writableEnded || chunk.length === 0) return true;
    // The callback also runs after an error; unsent chunks would otherwise stay until V8 collects
    // garbage.
    if (spent) this.socket.write(chunk, () => free(chunk));
    else this.socket.write(chunk);
    this.#full ||= this.socket.writableLength >= HIGH_WATER;
    return !this.#full;
  }

  end(): void {
    if (!this.#gone) this.socket.end();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.socket.destroy();
  }

  /** See `Socket.abort`. */
  abort(): void {
    if (this.#gone) return;
    this.destroy();
    this.tellClosed();
  }

  close(): void {
    this.destroy(); // no reset follows, because nothing is unread
  }

  #drained(): void {
    if (this.#gone || !this.#full) return;
    this.#full = false;
    this.owner.drain?.();
  }

  #closed(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.tellClosed(this.#error);
  }
}
