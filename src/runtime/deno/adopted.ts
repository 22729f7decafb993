/** Streams over descriptors made by libc: a connection, or one direction of a pipe. */

import {
  END_OF_DATA,
  handleError,
  type HandleRequest,
  handles,
  type NativeHandle,
} from "./handle.ts";
import { HIGH_WATER } from "./stream.ts";
import { free, Owned, type Stream } from "../stream.ts";

/** What a descriptor is, and which of its directions are used. Name only directions that it has. */
export interface Directions {
  readonly kind: "tcp" | "unix" | "pipe";
  readonly readable: boolean;
  readonly writable: boolean;
}

/** A stream over an adopted descriptor, which it closes. While paused it reads nothing, so that the
 *  system stops the peer. */
export class AdoptedStream extends Owned implements Stream {
  readonly #handle: OwnedHandle;
  readonly #directions: Directions;
  /** The owner gets data. */
  #flowing = false;
  /** The handle reads. */
  #reading = false;
  /** What came after `hold()`. */
  #held: Uint8Array | undefined;
  /** Bytes that the system has not accepted yet. */
  #queued = 0;
  #full = false;
  #ending = false;
  #inputOver: boolean;
  #outputOver: boolean;
  #gone = false;

  constructor(fd: number, directions: Directions) {
    super();
    const handle: OwnedHandle = directions.kind === "tcp" ? handles().socket() : handles().pipe();
    const status = handle.open(fd);
    if (status !== 0) throw handleError(status, "open");
    handle.onread = onread;
    handle.stream = this;
    this.#handle = handle;
    this.#directions = directions;
    this.#inputOver = !directions.readable;
    this.#outputOver = !directions.writable;
  }

  /** True if closed, by either side. */
  get gone(): boolean {
    return this.#gone;
  }

  /** True if the owner has not got bytes that were read. */
  protected get holds(): boolean {
    return this.#held !== undefined;
  }

  pause(): void {
    this.#flowing = false;
    this.#stop();
  }

  hold(): void {
    this.#flowing = false; // reading ends when something comes
  }

  resume(): void {
    if (this.#flowing || this.#gone) return;
    this.#flowing = true;
    if (this.#held !== undefined) queueMicrotask(() => this.#deliver());
    else this.#start();
  }

  #start(): void {
    if (this.#reading || this.#inputOver) return;
    this.#reading = true;
    const status = this.#handle.readStart();
    if (status !== 0) queueMicrotask(() => this.#fail(handleError(status, "read")));
  }

  #stop(): void {
    if (!this.#reading || this.#gone) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  /** Gives the owner what was held, and goes on reading. */
  #deliver(): void {
    const chunk = this.#held;
    if (chunk === undefined || !this.#flowing || this.#gone) return;
    this.#held = undefined;
    this.owner.data?.(chunk);
    if (this.#flowing && !this.#gone) this.#start();
  }

  /** For `onread`: bytes have come. */
  received(chunk: Uint8Array): void {
    if (this.#gone) return;
    if (this.#flowing && this.#held === undefined) return this.owner.data?.(chunk);
    this.#held = this.#held === undefined ? chunk : joined(this.#held, chunk);
    this.#stop();
  }

  /** For `onread`: there will be no more bytes. `status`: a negative error number. */
  ended(status: number): void {
    if (this.#gone) return;
    if (status !== END_OF_DATA) return this.#fail(handleError(status, "read"));
    // A handle reports its end once, so an end that must wait is asked for again by reading.
    if (!this.#flowing || this.#held !== undefined) return this.#stop();
    this.#inputOver = true;
    this.#stop();
    this.owner.end?.();
    this.#closeWhenOver();
  }

  write(chunk: Uint8Array, spent = false): boolean {
    if (this.#gone || this.#ending || chunk.length === 0) return true;
    const status = this.#handle.writeBuffer(new WriteRequest(this, chunk, spent), chunk);
    if (status !== 0) {
      queueMicrotask(() => this.#fail(handleError(status, "write")));
      return true;
    }
    if (handles().writesLater()) {
      this.#queued += chunk.length;
      this.#full ||= this.#queued >= HIGH_WATER;
    } else if (spent) free(chunk);
    return !this.#full;
  }

  /** For `WriteRequest`: the system has accepted `length` bytes. */
  written(length: number, status: number): void {
    this.#queued -= length;
    if (this.#gone) return;
    if (status !== 0) return this.#fail(handleError(status, "write"));
    if (this.#queued > 0) return;
    if (this.#ending) return this.#shut();
    if (!this.#full) return;
    this.#full = false;
    this.owner.drain?.();
  }

  end(): void {
    if (this.#gone || this.#ending || this.#outputOver) return;
    this.#ending = true;
    if (this.#queued === 0) this.#shut();
  }

  /** Sends the end of data. For a pipe that is its close. */
  #shut(): void {
    if (this.#directions.kind === "pipe") return queueMicrotask(() => this.shut());
    const request = { oncomplete: (): void => this.shut() };
    if (this.#handle.shutdown(request) !== 0) queueMicrotask(() => this.shut());
  }

  /** For a request of `#shut`. A peer that is gone already is no error. */
  shut(): void {
    if (this.#gone) return;
    this.#outputOver = true;
    this.#closeWhenOver();
  }

  destroy(): void {
    this.release();
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

  /** Closes the descriptor, whoever has ended the stream. */
  protected release(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#flowing = false;
    this.#held = undefined;
    this.#handle.close();
  }

  #closeWhenOver(): void {
    if (!this.#inputOver || !this.#outputOver || this.#gone) return;
    this.release();
    this.tellClosed();
  }

  #fail(error: Error): void {
    if (this.#gone) return;
    this.release();
    this.tellClosed(error);
  }
}

/** A handle that knows its stream: `onread` is one function for all. */
interface OwnedHandle extends NativeHandle {
  stream?: AdoptedStream;
}

function onread(this: OwnedHandle, bytes: ArrayBuffer | undefined): void {
  const result = handles().readResult();
  if (result > 0 && bytes !== undefined) this.stream?.received(new Uint8Array(bytes, 0, result));
  else if (result < 0) this.stream?.ended(result);
}

class WriteRequest implements HandleRequest {
  constructor(
    readonly stream: AdoptedStream,
    readonly chunk: Uint8Array,
    readonly spent: boolean,
  ) {}

  oncomplete(status: number): void {
    const { length } = this.chunk;
    if (this.spent) free(this.chunk);
    this.stream.written(length, status);
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
