/** Descriptors made by libc, driven by `node:net`: a connection, or one direction of a pipe. It stops
 *  reading when paused, as long as no TLS is made of it directly. */

import { Socket as NetSocket } from "node:net";
import { free, HIGH_WATER } from "./stream.ts";
import { Owned, type Stream } from "../stream.ts";

/** A stream over an adopted descriptor, which it closes. */
export class AdoptedStream extends Owned implements Stream {
  protected readonly socket: NetSocket;
  #full = false;
  #gone = false;
  #error: Error | undefined;

  /** A direction that the descriptor has not must not be asked for: reading a pipe's writing end
   *  fails. */
  constructor(fd: number, { readable, writable }: { readable: boolean; writable: boolean }) {
    super();
    const options = {
      fd,
      readable,
      writable,
      allowHalfOpen: true,
      // While it is paused it reads nothing ahead: for a client that does not read, a program's next
      // 64 KB.
      readableHighWaterMark: 0,
      writableHighWaterMark: HIGH_WATER, // from there on it says when it is empty again
    };
    const socket = new NetSocket(options);
    this.socket = socket;
    if (readable) {
      socket.pause();
      // Without the call to pause() this would begin to read.
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
    // Also after an error: what was never sent would stay until V8 looks for garbage.
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
    this.destroy(); // the system sends no reset when nothing is unread
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
