/** Streams over Deno's promise-based reads and writes: a `Deno.Conn`, or the pipes of a program.
 *
 *  Nothing is read while the stream is paused, so the kernel stops the peer. A waiting read keeps
 *  its buffer, and most connections wait most of the time: a read waits with a small buffer, and a
 *  large one is used only after the small one was full. */

import { free, Owned, type Stream } from "../stream.ts";

/** The promise-based end of a descriptor. */
export interface Wire {
  /** The next bytes, `size` at most; null at the end of data. */
  read(size: number): Promise<Uint8Array | null>;
  /** Resolves to the number of bytes written, at least one. */
  write(chunk: Uint8Array): Promise<number>;
  /** Sends the end of data. */
  closeWrite(): Promise<void>;
  /** Frees the descriptor; reads and writes under way reject. */
  close(): void;
}

/** Buffer of a waiting read: a ClientHello or a mail command fits. */
const SMALL = 2048;
/** Buffer of a read in a busy stream: four TLS records. */
const LARGE = 65536;
/** From this many queued bytes on, `write` returns false; `drain` follows when half of them are
 *  gone. One TLS record. A chunk of a program has at most 64 KB, so a client that does not read
 *  costs 16 to 80 KB. */
export const HIGH_WATER = 16384;

/** A stream over one wire. `ends`: which directions the wire has. */
export class WireStream extends Owned implements Stream {
  readonly #wire: Wire;
  #flowing = false;
  #reading = false;
  #size = SMALL;
  /** The result of a read that ended after `pause()`; null is the end of data. */
  #held: Uint8Array | null | undefined;
  #queue: { chunk: Uint8Array; spent: boolean }[] = [];
  #queued = 0;
  #writing = false;
  #full = false;
  #ending = false;
  #inputOver: boolean;
  #outputOver: boolean;
  #gone = false;

  constructor(wire: Wire, ends: { input: boolean; output: boolean }) {
    super();
    this.#wire = wire;
    this.#inputOver = !ends.input;
    this.#outputOver = !ends.output;
  }

  /** True if closed, by either side. */
  get gone(): boolean {
    return this.#gone;
  }

  pause(): void {
    this.#flowing = false;
  }

  hold(): void {
    this.pause();
  }

  resume(): void {
    if (this.#flowing || this.#gone) return;
    this.#flowing = true;
    if (!this.#reading && !this.#inputOver) void this.#read();
  }

  write(chunk: Uint8Array, spent = false): boolean {
    if (this.#gone || this.#ending || chunk.length === 0) return true;
    this.#queue.push({ chunk, spent });
    this.#queued += chunk.length;
    if (!this.#writing) void this.#flush();
    if (this.#queued >= HIGH_WATER) this.#full = true;
    return !this.#full;
  }

  end(): void {
    if (this.#gone || this.#ending || this.#outputOver) return;
    this.#ending = true;
    if (!this.#writing) void this.#flush();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#flowing = false;
    for (const { chunk, spent } of this.#queue) if (spent) free(chunk);
    this.#queue = [];
    this.#held = undefined;
    this.#wire.close();
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

  /** Reads until paused or at the end. The caller must check that no other read runs. */
  async #read(): Promise<void> {
    this.#reading = true;
    try {
      if (this.#held !== undefined) await null; // no callback from within `resume()`
      while (this.#flowing) {
        let chunk = this.#held;
        this.#held = undefined;
        if (chunk === undefined) {
          chunk = await this.#wire.read(this.#size);
          if (this.#gone) return;
          this.#size = chunk?.length === this.#size ? LARGE : SMALL;
          if (!this.#flowing) {
            this.#held = chunk;
            return;
          }
        }
        if (chunk === null) {
          this.#inputOver = true;
          this.owner.end?.();
          this.#closeWhenOver();
          return;
        }
        this.owner.data?.(chunk);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#reading = false;
    }
  }

  /** Writes the queue, then the end of data if `end` was called. */
  async #flush(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#queue.length > 0) {
        const { chunk, spent } = this.#next();
        for (let done = 0; done < chunk.length;) {
          const taken = await this.#wire.write(done === 0 ? chunk : chunk.subarray(done));
          if (this.#gone) return;
          this.#queued -= taken;
          done += taken;
        }
        if (spent) free(chunk);
        if (this.#full && this.#queued <= HIGH_WATER / 2) {
          this.#full = false;
          this.owner.drain?.();
        }
      }
      if (this.#ending && !this.#gone) {
        await this.#wire.closeWrite();
        this.#outputOver = true;
        this.#closeWhenOver();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#writing = false;
    }
  }

  /** The next bytes to write. Joins small chunks, so that they share packets. */
  #next(): { chunk: Uint8Array; spent: boolean } {
    const first = this.#queue[0]!;
    let count = 1, length = first.chunk.length;
    for (; count < this.#queue.length; count++) {
      const more = this.#queue[count]!.chunk.length;
      if (length + more > LARGE) break;
      length += more;
    }
    const parts = this.#queue.splice(0, count);
    if (count === 1) return first;
    const joined = new Uint8Array(length);
    let offset = 0;
    for (const { chunk, spent } of parts) {
      joined.set(chunk, offset);
      offset += chunk.length;
      if (spent) free(chunk);
    }
    return { chunk: joined, spent: true };
  }

  #closeWhenOver(): void {
    if (!this.#inputOver || !this.#outputOver || this.#gone) return;
    this.destroy();
    this.tellClosed();
  }

  #fail(error: unknown): void {
    if (this.#gone) return;
    this.destroy();
    this.tellClosed(error instanceof Error ? error : new Error(String(error)));
  }
}
