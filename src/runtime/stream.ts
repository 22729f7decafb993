/** Streams as the core sees them, and who owns one. The adapters implement them over sockets and pipes;
 *  program/ and accept/ over one another.
 *
 *  A stream has one owner at a time: `take` makes a handler the owner, and everything that happens from
 *  then on is told to it alone. A handler is an object with methods, because a call costs nothing per
 *  chunk and both runtimes have callbacks underneath. A class of ours that owns a stream is the handler
 *  itself, so that a connection needs no closures.
 *
 *  Nothing is lost between two owners. Every stream starts paused, and a paused stream keeps its bytes
 *  and its end of data. A stream that was closed says so to each owner that takes it. */

/** The owner of a stream. What it does not implement is dropped. */
export interface StreamHandler {
  /** The next bytes. The callee may keep them if they come from a socket. What a pipe brings is lent
   *  until the callee returns: it is written to a `Stream`, used up, or copied. */
  data?(chunk: Uint8Array): void;
  /** The peer has ended its data (FIN, close_notify, end of pipe). At most once, after the last `data`;
   *  output still flows. `cut`: a TLS peer has sent FIN and no close_notify. */
  end?(cut?: boolean): void;
  /** There is room again after a `write` that returned false. */
  drain?(): void;
  /** The stream is closed: nothing more will come or go. Once for each owner, with the reason if it was
   *  not closed in order. Not called after a `destroy()` or `close()` of ours. */
  close?(error?: Error): void;
}

/** What both directions of a stream share. */
export interface Closable {
  /** Makes `handler` the owner in place of the one before. If the stream was closed already, `handler` is
   *  told so in a microtask. */
  take(handler: StreamHandler): void;
  /** Gives up both directions at once and frees the descriptor. Idempotent. */
  destroy(): void;
}

/** Something to read from. */
export interface Source extends Closable {
  /** After this returns no `data` or `end` comes until `resume()`, and at most a few hundred KB are
   *  buffered meanwhile: the peer is held up. */
  pause(): void;
  /** Calls no handler before it returns. */
  resume(): void;
}

/** Something to write to. */
export interface Sink extends Closable {
  /** Takes all of `chunk`. False: no more, please, before `drain`. With `spent` nobody looks at the
   *  chunk after this turn of the event loop: its memory may be freed as soon as it is written. */
  write(chunk: Uint8Array, spent?: boolean): boolean;
  /** No more output: what is queued is written, then FIN, close_notify or end of pipe is sent.
   *  Input still flows. */
  end(): void;
}

/** What it is given to write may be lent by a pipe of the same runtime (see `StreamHandler.data`): it
 *  copies what it keeps. */
export interface Stream extends Source, Sink {
  /** Like `destroy()`, for a peer that has taken everything, the end included: it gets no reset. */
  close(): void;
}

/** Drops everything. */
export const NO_HANDLER: StreamHandler = Object.freeze({});

/** The owner's part of a stream: the base of all that implement one. */
export abstract class Owned implements Pick<Closable, "take"> {
  protected owner: StreamHandler = NO_HANDLER;
  /** Why it was closed. */
  protected failure: Error | undefined;
  #closed = false;

  take(handler: StreamHandler): void {
    this.owner = handler;
    if (this.#closed) queueMicrotask(() => this.#tell(handler));
  }

  /** It was closed, but not by its owner. */
  protected tellClosed(error?: Error): void {
    this.#closed = true;
    this.failure = error;
    this.owner.close?.(error);
  }

  #tell(handler: StreamHandler): void {
    if (this.owner === handler) handler.close?.(this.failure);
  }
}
