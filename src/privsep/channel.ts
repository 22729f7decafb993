/** One end of the two sockets between monitor and worker. One socket carries messages in both
 *  directions, the other file descriptors. The descriptors of a message are sent before its frame,
 *  so that they have arrived when the frame is read. Order is kept. A channel does not know what a
 *  message means. */

import { DecodeError } from "../codec/bytes.ts";
import { reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Stream } from "../runtime/runtime.ts";
import { Frames } from "./frame.ts";
import type { Codec } from "./message_codec.ts";
import type { Message, Side } from "./messages.ts";

/** The data byte of a descriptor message: a stream socket passes no descriptors without data
 *  (unix(7)). */
const MARK = Uint8Array.of(1);
/** Milliseconds until the next try while the other side has not read the last descriptors. */
const RETRY = 1;
/** Milliseconds until the next try after the system has refused to send descriptors, and how long
 *  it may go on refusing. A refusal is not the other side's fault, but no later frame can be
 *  understood without these descriptors. */
const RETRY_REFUSED = 20;
const MAX_REFUSED = 10_000;
/** Maximum number of frames, and of descriptors with them, that may wait to be sent. If more wait,
 *  the other side has stopped reading. The channel then breaks, so that the queue cannot fill our
 *  memory or use up our descriptors. */
const MAX_QUEUE = 65_536;
const MAX_DESCRIPTORS = 2048;
/** Maximum bytes of frames that a worker may leave unread: twice the longest frame. The monitor has
 *  no such limit: it is trusted, and may be busy starting programs. */
const MAX_UNREAD = 16 << 20;

interface Outgoing {
  readonly frame: Uint8Array;
  readonly fds: readonly number[];
}

/** The monitor's end, and the worker's end. */
export type ToWorker = Channel<"monitor", "worker">;
export type ToMonitor = Channel<"worker", "monitor">;

/** Handles the events of a channel. A channel has one owner at a time, like a stream
 *  (runtime/stream.ts). */
export interface ChannelHandler<Them extends Side> {
  /** A message has arrived. An error thrown here, usually `DecodeError`, breaks the channel. */
  message?(message: Message<Them>): void;
  /** The other side has closed its end (`why` is undefined), has broken the protocol, or has
   *  stopped reading. Called once, and never after `close`. */
  broken?(why?: string): void;
}

export class Channel<Us extends Side, Them extends Side> {
  #owner: ChannelHandler<Them> = {};
  readonly #frames: Frames;
  readonly #queue: Outgoing[] = [];
  /** Number of descriptors in the queue. */
  #held = 0;
  /** Bytes written since the other side fell behind; undefined: it keeps up. */
  #unread: number | undefined;
  #waiting: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Time of the first of the refusals to send descriptors; undefined: the last attempt was not
   *  refused. */
  #refused: number | undefined;
  #open = true;

  /** `pass`: descriptor of the socket that passes descriptors; it is closed with the channel. */
  constructor(
    readonly libc: Libc,
    readonly stream: Stream,
    readonly pass: number,
    readonly ours: Codec<Us>,
    readonly theirs: Codec<Them>,
  ) {
    this.#frames = new Frames(theirs.maxLength);
    stream.take({
      data: (chunk) => this.#received(chunk),
      end: () => this.#broken(),
      drain: () => {
        this.#unread = undefined;
      },
      close: () => this.#broken(),
    });
  }

  get open(): boolean {
    return this.#open;
  }

  /** Makes `handler` the owner and replaces the previous one. */
  take(handler: ChannelHandler<Them>): void {
    this.#owner = handler;
  }

  begin(): void {
    this.stream.resume();
  }

  /** Sends a message with copies of `fds`, and closes `fds` in any case. Throws `EncodeError` for a
   *  message that the other side would refuse. */
  send(message: Message<Us>, fds: readonly number[] = []): void {
    let frame: Uint8Array;
    try {
      frame = this.ours.encode(message);
    } catch (error) {
      this.#drop(fds);
      throw error;
    }
    this.sendFrame(frame, fds);
  }

  /** The same for a message that is already encoded. */
  sendFrame(frame: Uint8Array, fds: readonly number[] = []): void {
    if (!this.#open) return this.#drop(fds);
    this.#held += fds.length;
    if (this.#queue.length >= MAX_QUEUE || this.#held > MAX_DESCRIPTORS) {
      this.#drop(fds);
      return this.#broken("it does not read its messages");
    }
    this.#queue.push({ frame, fds });
    if (this.#queue.length === 1) this.#flush();
  }

  /** True while frames wait because the other side has not read the descriptors before them. */
  get backedUp(): boolean {
    return this.#queue.length > 0;
  }

  /** Resolves when no frame waits any more, or the channel is closed. A caller awaits this before
   *  it makes descriptors. */
  async clear(): Promise<void> {
    if (this.backedUp) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Returns the descriptors that came with the frame just read. Throws `DecodeError` if there are
   *  not exactly `count`. Throws `LostDescriptors` if this process had no room for them; later
   *  frames and their descriptors are not affected. */
  descriptors(count: number): number[] {
    if (count === 0) return []; // nothing was sent: see `#flush`
    const got = this.libc.receiveDescriptors(this.pass, MARK.length, count);
    if (got?.fds.length === count && got.bytes.length === MARK.length) return got.fds;
    this.#drop(got?.fds ?? []);
    throw new DecodeError(`privsep: descriptors: ${got?.fds.length ?? 0}, not ${count} at byte 0`);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#timer);
    for (const { fds } of this.#queue.splice(0)) this.#drop(fds);
    this.#cleared();
    this.stream.destroy();
    this.libc.close(this.pass);
  }

  readonly #flush = (): void => {
    for (;;) {
      const next = this.#queue[0];
      if (!next || !this.#open) return this.#cleared();
      const { frame, fds } = next;
      if (fds.length > 0) {
        const again = this.#pass(fds);
        if (again !== undefined) {
          if (this.#open) this.#timer = setTimeout(this.#flush, again);
          return;
        }
        this.#held -= fds.length;
        this.#drop(fds);
      }
      this.#queue.shift();
      this.#write(frame);
    }
  };

  /** Returns undefined if they were sent, otherwise milliseconds until the next try. */
  #pass(fds: readonly number[]): number | undefined {
    try {
      if (this.libc.sendDescriptors(this.pass, MARK, fds) === undefined) return RETRY;
      this.#refused = undefined;
      return undefined;
    } catch (error) {
      const { code } = error as { code?: string };
      // Not a breach: the other process has ended. Its parent learns how.
      if (code === "EPIPE" || code === "ECONNRESET") this.#broken();
      // As many descriptors of our user are in flight as it may have open (unix(7)).
      if (code === "ETOOMANYREFS") return RETRY;
      const now = performance.now();
      if (now - (this.#refused ??= now) > MAX_REFUSED) this.#broken(reason(error));
      return RETRY_REFUSED;
    }
  }

  #write(frame: Uint8Array): void {
    if (!this.stream.write(frame)) this.#unread ??= 0;
    if (this.#unread === undefined || this.theirs.from === "monitor") return;
    this.#unread += frame.length;
    if (this.#unread > MAX_UNREAD) this.#broken("it does not read its messages");
  }

  #cleared(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #received(chunk: Uint8Array): void {
    try {
      for (const { kind, body } of this.#frames.push(chunk)) {
        if (!this.#open) return;
        this.#owner.message?.(this.theirs.decode(kind, body));
      }
    } catch (error) {
      this.#broken(reason(error));
    }
  }

  #broken(why?: string): void {
    if (!this.#open) return;
    this.close();
    this.#owner.broken?.(why);
  }

  #drop(fds: readonly number[]): void {
    for (const fd of fds) this.libc.close(fd);
  }
}
