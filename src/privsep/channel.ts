/** One end of the two sockets between monitor and worker: messages in both directions, and descriptors
 *  beside them. Descriptors go first, by a socket of their own, so that they are there when the frame
 *  that speaks of them comes; order is kept. Does not know what a message means. */

import { DecodeError } from "../codec/bytes.ts";
import { reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Stream } from "../runtime/runtime.ts";
import { Frames } from "./frame.ts";
import type { Codec, Message, Side } from "./messages.ts";

/** What a descriptor message carries besides: something must be sent. */
const MARK = Uint8Array.of(1);
/** The other side has not taken the last descriptors yet: looked at again after so many ms. */
const RETRY = 1;
/** The same when the system has refused to take them, and how long it may, in ms. A refusal is not the
 *  other side's fault, but without its descriptors no later frame can be understood. */
const RETRY_REFUSED = 20;
const MAX_REFUSED = 10_000;
/** Frames, and descriptors beside them, that may wait for that: whoever lets more pile up takes nothing
 *  any more, and must not fill our memory or use up our descriptors. */
const MAX_QUEUE = 65_536;
const MAX_DESCRIPTORS = 2048;
/** Bytes of frames that may wait to be read by a worker: twice the longest frame there is. Requests may
 *  pile up as they will: the monitor is believed, and may be busy starting programs. */
const MAX_UNREAD = 16 << 20;

interface Outgoing {
  readonly frame: Uint8Array;
  readonly fds: readonly number[];
}

/** The monitor's end, and a worker's. */
export type ToWorker = Channel<"monitor", "worker">;
export type ToMonitor = Channel<"worker", "monitor">;

/** The owner of a channel, as of a stream (runtime/stream.ts). */
export interface ChannelHandler<Them extends Side> {
  /** A message has come. What it throws, `DecodeError` above all, breaks the channel. */
  message?(message: Message<Them>): void;
  /** The other side is gone (no reason), or has sent what it must not. Exactly once, and not after
   *  `close`. */
  broken?(why?: string): void;
}

export class Channel<Us extends Side, Them extends Side> {
  #owner: ChannelHandler<Them> = {};
  readonly #frames: Frames;
  readonly #queue: Outgoing[] = [];
  /** Descriptors in the queue. */
  #held = 0;
  /** Bytes written since the other side has fallen behind; undefined: it has not. */
  #unread: number | undefined;
  #waiting: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Since when the system refuses descriptors. */
  #refused: number | undefined;
  #open = true;

  /** `pass` is the descriptor of the socket for descriptors; it is closed with the channel. */
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

  /** Makes `handler` the owner in place of the one before. */
  take(handler: ChannelHandler<Them>): void {
    this.#owner = handler;
  }

  begin(): void {
    this.stream.resume();
  }

  /** Sends a message, with copies of `fds`, which are closed here in any case. Throws `EncodeError` for one
   *  that the other side would refuse. */
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

  /** The same, of a message that has been encoded. */
  sendFrame(frame: Uint8Array, fds: readonly number[] = []): void {
    if (!this.#open) return this.#drop(fds);
    this.#held += fds.length;
    if (this.#queue.length >= MAX_QUEUE || this.#held > MAX_DESCRIPTORS) {
      this.#drop(fds);
      return this.#broken("it takes nothing");
    }
    this.#queue.push({ frame, fds });
    if (this.#queue.length === 1) this.#flush();
  }

  /** Something waits to be taken by the other side. */
  get backedUp(): boolean {
    return this.#queue.length > 0;
  }

  /** Resolves when nothing waits to be taken by the other side any more, or the channel is closed. Who
   *  makes descriptors waits for it first. */
  async clear(): Promise<void> {
    if (this.backedUp) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The descriptors that came with the frame just read. Throws if there are not exactly so many, and
   *  `LostDescriptors` if this process had no room for them: frames and descriptors that come later are
   *  not affected. */
  descriptors(count: number): number[] {
    if (count === 0) return []; // nothing was sent: see `send`
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

  /** Undefined when they are under way, else milliseconds until the next try. */
  #pass(fds: readonly number[]): number | undefined {
    try {
      if (this.libc.sendDescriptors(this.pass, MARK, fds) === undefined) return RETRY;
      this.#refused = undefined;
      return undefined;
    } catch (error) {
      const { code } = error as { code?: string };
      // A process that has ended is no breach; what became of it its parent learns.
      if (code === "EPIPE" || code === "ECONNRESET") this.#broken();
      // As many of our user's are under way as it may have open (unix(7)).
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
    if (this.#unread > MAX_UNREAD) this.#broken("it reads nothing");
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
